//! Halves whose other half was not found where and when it was looked for.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::found::{Found, look_up};
use super::half::Half;
use super::judge::{Verdict, judge, told};
use crate::AuditError;
use crate::snapshot::Shard;

/// The first time in the present already sees what the snapshot was too old for. The others are for slots that
/// change hands meanwhile.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// At most a page of halves to be asked for again.
#[derive(Debug, Default)]
pub(super) struct Suspicions(Vec<Half>);

impl Suspicions {
    pub fn add(&mut self, half: Half) {
        self.0.push(half);
    }

    /// Asks for them in the present, on all shards, until each is explained or nothing more is to be expected.
    /// Returns each with what is wrong with it, if anything is.
    pub async fn settle(self, shards: &[Shard<'_>]) -> Result<Vec<(Half, Option<String>)>, AuditError> {
        let (mut settled, mut left) = (Vec::new(), self.0);
        for attempt in 0..ATTEMPTS {
            if left.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let asked = shards.iter().map(|shard| look_up(shard.present, shard.id(), &left));
            let found = try_join_all(asked).await?;
            for half in std::mem::take(&mut left) {
                let nothing = Found::default();
                let answers = shards.iter().zip(&found);
                let verdicts =
                    answers.map(|(shard, found)| judge(&half, found.get(&half.id).unwrap_or(&nothing), shard.id()));
                match weigh(verdicts) {
                    Verdict::Paired | Verdict::Open => settled.push((half, None)),
                    Verdict::Contradicts(violation) => settled.push((half, Some(violation))),
                    Verdict::Missing => left.push(half),
                }
            }
        }
        settled.extend(left.into_iter().map(|half| {
            let violation = format!("{}; no shard has the other half", told(&half));
            (half, Some(violation))
        }));
        Ok(settled)
    }
}

/// A shard that has the other half outweighs those that have something else: the half's own shard is among them.
fn weigh(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::Missing, |so_far, next| match (so_far, next) {
        (Verdict::Paired | Verdict::Open, _) | (_, Verdict::Paired | Verdict::Open) => Verdict::Paired,
        (Verdict::Contradicts(violation), _) | (Verdict::Missing, Verdict::Contradicts(violation)) => {
            Verdict::Contradicts(violation)
        }
        (Verdict::Missing, Verdict::Missing) => Verdict::Missing,
    })
}
