//! Reading `/metrics` of a shard-node: as much of Prometheus' text form as its tables need.

/// One look at a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// From the text of `/metrics`.
    pub(crate) fn of(text: String) -> Self {
        Self(text)
    }

    /// The values of a metric, whatever its labels.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = f64> + 'a {
        self.samples(name).map(|(_, value)| value)
    }

    /// The sum of those.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.values(name).sum()
    }

    /// A histogram, over all labels: how many observations there were up to each bound, by rising bounds.
    pub(crate) fn histogram(&self, name: &str) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        let bucket_name = format!("{name}_bucket");
        for (labels, count) in self.samples(&bucket_name) {
            let Some(bound) = bound(labels) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }

    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        let of_name = self.0.lines().filter_map(move |line| line.strip_prefix(name));
        of_name.filter_map(|rest| {
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_whole_name = labels.is_empty() || labels.starts_with('{');
            Some((labels, value.parse().ok()?)).filter(|_| is_whole_name)
        })
    }
}

fn bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    let (bound, _) = rest.split_once('"')?;
    if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() }
}

/// The value below which a share of the observations between two looks lies, as well as the buckets tell: the upper
/// bound of its bucket. `None` if there were none, or it lies beyond the last bound.
pub(crate) fn quantile(before: &[(f64, f64)], after: &[(f64, f64)], share: f64) -> Option<f64> {
    let since = |(bound, count): &(f64, f64)| {
        let earlier = before.iter().find(|(known, _)| known == bound).map_or(0.0, |(_, count)| *count);
        (*bound, count - earlier)
    };
    let counts: Vec<(f64, f64)> = after.iter().map(since).collect();
    let (_, all) = counts.last().copied().filter(|(_, all)| *all > 0.0)?;
    let found = counts.iter().find(|(_, count)| *count >= all * share);
    found.map(|(bound, _)| *bound).filter(|bound| bound.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP wallet_x A count\nwallet_x{kind=\"a b\"} 2\nwallet_x{kind=\"c\"} 3.5\nwallet_x_more 7\n\
        wallet_h_bucket{lane=\"0\",le=\"0.1\"} 1\nwallet_h_bucket{lane=\"0\",le=\"+Inf\"} 4\n\
        wallet_h_bucket{lane=\"1\",le=\"0.1\"} 2\nwallet_h_bucket{lane=\"1\",le=\"+Inf\"} 2\n";

    #[test]
    fn values_are_those_of_the_whole_name() {
        let metrics = Metrics::of(TEXT.to_owned());
        assert_eq!(metrics.sum("wallet_x"), 5.5);
        assert_eq!(metrics.sum("wallet_x_more"), 7.0);
        assert_eq!(metrics.sum("wallet"), 0.0);
    }

    #[test]
    fn histogram_adds_up_the_lanes() {
        assert_eq!(Metrics::of(TEXT.to_owned()).histogram("wallet_h"), [(0.1, 3.0), (f64::INFINITY, 6.0)]);
    }

    #[test]
    fn quantile_is_of_what_happened_in_between() {
        let before = [(0.1, 10.0), (0.2, 10.0), (f64::INFINITY, 10.0)];
        let after = [(0.1, 11.0), (0.2, 13.0), (f64::INFINITY, 14.0)];
        assert_eq!(quantile(&before, &after, 0.5), Some(0.2));
        assert_eq!(quantile(&before, &after, 0.25), Some(0.1));
        assert_eq!(quantile(&before, &after, 0.99), None);
        assert_eq!(quantile(&after, &after, 0.5), None);
    }
}
