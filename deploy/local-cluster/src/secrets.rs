//! The secrets of one cluster, made once.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::data_dir::{DataDir, read_json, write_json};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// What processes prove to each other that they belong to this cluster with.
    pub(crate) cluster: String,
    /// The password of PostgreSQL's superuser.
    pub(crate) postgres_superuser: String,
    /// The password of PostgreSQL's role `wallet`.
    pub(crate) postgres_wallet: String,
}

impl Secrets {
    /// Reads the secrets of a data directory, or makes them, readable by their owner only.
    pub(crate) fn read_or_make(data_dir: &DataDir) -> Result<Self> {
        let path = data_dir.secrets();
        if let Some(secrets) = read_json(&path)? {
            return Ok(secrets);
        }
        let secrets = Self { cluster: random(), postgres_superuser: random(), postgres_wallet: random() };
        write_json(&path, &secrets, 0o600)?;
        Ok(secrets)
    }
}

/// 256 random bits in hexadecimal.
fn random() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_for_the_owner_only() {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open_or_make(temp.path()).unwrap();
        let first = Secrets::read_or_make(&data_dir).unwrap();
        assert_eq!(Secrets::read_or_make(&data_dir).unwrap().cluster, first.cluster);
        assert_ne!(first.postgres_superuser, first.postgres_wallet);
        assert_eq!(data_dir.secrets().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
