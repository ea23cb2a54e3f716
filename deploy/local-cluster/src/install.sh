# Installs the packages named as arguments. Debian's packages would also start servers on the usual ports; they are
# told not to, by files that were not there before and are gone afterwards.
set -eu
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.d/00-wallet-install.conf
made_policy= made_clusters=
clean_up() {
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
    if [ -n "$made_clusters" ]; then rm -f "$clusters"; fi
}
trap clean_up EXIT

if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
if [ ! -e "$clusters" ]; then
    made_clusters=yes
    mkdir -p "${clusters%/*}"
    echo 'create_main_cluster = false' >"$clusters"
fi

apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
