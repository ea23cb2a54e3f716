//! What was told of a transfer, against what is in both books.

use super::{Findings, Scene};
use crate::faults::history::{Answer, Fate, How, RequestId, State, Want};

/// Every acknowledged transfer is exactly once in both books, with the right amount and id.
pub fn acknowledged_once(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        let Fate::Posted(amount) = scene.history.fate(id) else { continue };
        if request.accounts().is_none() {
            continue;
        }
        findings.look();
        for (side, word) in scene.sides(id).iter().zip(["debit", "credit"]) {
            match side.count() {
                1 => {}
                0 => findings.on_request(id, format!("{amount} was acknowledged, and there is no {word}")),
                more => findings.on_request(id, format!("{amount} was acknowledged, and there are {more} {word}s")),
            }
            for line in &side.new {
                if line.amount != amount {
                    let found = line.amount;
                    findings.on_request(id, format!("{amount} was acknowledged, and the {word} is of {found}"));
                }
                if request.transfer().is_some_and(|told| told != line.transfer) {
                    findings.on_request(id, format!("the {word} is of another transfer, {}", line.transfer));
                }
            }
        }
    }
}

/// What was refused, released or never sent is in no book.
pub fn rejected_never(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        let fate = scene.history.fate(id);
        let why = match fate {
            Fate::Never(code) => format!("refused or given back ({code})"),
            Fate::Unasked => "never sent".to_owned(),
            Fate::Posted(_) | Fate::Open | Fate::Unknown => continue,
        };
        if request.accounts().is_none() {
            continue;
        }
        findings.look();
        booked(scene, findings, id, &why);
    }
}

fn booked(scene: &Scene<'_>, findings: &mut Findings, id: RequestId, why: &str) {
    for (side, word) in scene.sides(id).iter().zip(["debit", "credit"]) {
        if side.count() > 0 {
            findings.on_request(id, format!("it was {why}, and there is a {word}"));
        }
    }
}

/// Repeating its key has brought every request to one outcome, and nothing is half done.
pub fn unknown_resolved(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        findings.look();
        if request.is_open() {
            findings.on_request(id, "it was repeated with its key after the heal, and still is not decided");
            continue;
        }
        let fate = scene.history.fate(id);
        let is_reservation = matches!(request.want, Want::Reserve { .. });
        let waits_for_its_client = is_reservation && fate == Fate::Open && scene.is_held(id);
        if !fate.is_final() && request.accounts().is_some() && !waits_for_its_client {
            findings.on_request(id, "its end is not known, long after the heal");
        }
        let [debit, credit] = scene.sides(id);
        if debit.count() != credit.count() {
            let (debits, credits) = (debit.count(), credit.count());
            findings.on_request(id, format!("it is half done: {debits} debits and {credits} credits"));
        }
    }
}

/// The stored end of a transfer is the one that was told, on every shard that has it.
pub fn rows_agree(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        let Some(transfer) = request.transfer().filter(|_| request.accounts().is_some()) else { continue };
        for row in scene.survey.rows.get(&transfer).into_iter().flatten() {
            findings.look();
            let agrees = match scene.history.fate(id) {
                Fate::Posted(amount) => row.state == POSTED && row.amount == amount,
                Fate::Never(_) => row.state != POSTED,
                // Its end was not told to anybody.
                Fate::Open | Fate::Unknown | Fate::Unasked => true,
            };
            if !agrees {
                let shard = row.shard + 1;
                let told = words(scene.history.fate(id));
                findings.on_request(id, format!("it was said to be {told}, and shard {shard} has {row:?}"));
            }
        }
    }
}

/// The number of the state `posted`.
const POSTED: i16 = 2;

/// No two answers about one transfer say different ends of it.
pub fn one_outcome(scene: &Scene<'_>, findings: &mut Findings) {
    for (id, request) in scene.history.live() {
        if request.accounts().is_none() {
            continue;
        }
        findings.look();
        let mut told: Vec<Fate> = request.settled.map(|settled| settled.fate).into_iter().collect();
        for (of, end) in
            std::iter::once((id, request)).chain(request.ends.iter().map(|end| (*end, scene.history.get(*end))))
        {
            let asked = end.attempts.iter().filter(|attempt| attempt.how != How::Altered);
            told.extend(asked.filter_map(|attempt| terminal(attempt.answer, of == id)));
        }
        let first = told.iter().find(|fate| fate.is_final() && **fate != Fate::Unasked);
        let other = told.iter().find(|fate| fate.is_final() && **fate != Fate::Unasked && Some(*fate) != first);
        if let (Some(first), Some(other)) = (first, other) {
            findings.on_request(id, format!("it was said to be {}, and to be {}", words(*first), words(*other)));
        }
    }
}

/// What an answer says of the end of the money. The refusal of an end says nothing of it.
fn terminal(answer: Answer, is_own: bool) -> Option<Fate> {
    match answer {
        Answer::Said(said) => match said.state {
            State::Pending | State::Reserved => None,
            State::Posted => Some(Fate::Posted(said.amount)),
            State::Released(code) | State::Rejected(code) => Some(Fate::Never(code)),
        },
        Answer::Refused(_, code, _) if is_own => Some(Fate::Never(code)),
        _ => None,
    }
}

fn words(fate: Fate) -> String {
    match fate {
        Fate::Posted(amount) => format!("posted with {amount}"),
        Fate::Never(code) => format!("refused or given back ({code})"),
        Fate::Open => "open".to_owned(),
        Fate::Unknown => "unknown".to_owned(),
        Fate::Unasked => "never sent".to_owned(),
    }
}
