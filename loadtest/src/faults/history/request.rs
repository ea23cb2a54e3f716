//! One request: what is wanted, under one key, and every call that was made for it.

use std::fmt;

use uuid::Uuid;

use super::{Answer, Code, Said, State};
use crate::faults::clock::Moment;

/// Names a request; also its key and, for money, its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a client wants. Accounts are places in the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Move money at once.
    Transfer {
        /// From here.
        debit: u32,
        /// To here.
        credit: u32,
        /// So much.
        amount: i64,
        /// Whether the credit account is named by its user.
        to_user: bool,
        /// Why this cannot succeed, where it cannot.
        doom: Option<Doom>,
    },
    /// Set money aside.
    Reserve {
        /// From here.
        debit: u32,
        /// Later to go here.
        credit: u32,
        /// So much.
        amount: i64,
        /// For so long.
        expires_in_seconds: u32,
    },
    /// Make a reservation permanent, all of it or a part.
    Commit {
        /// The reservation.
        of: RequestId,
        /// The part; `None` is all.
        amount: Option<i64>,
    },
    /// Give a reservation back.
    Release {
        /// The reservation.
        of: RequestId,
    },
}

/// Why a transfer is sure to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// More than all accounts have together.
    TooMuch,
    /// Nothing at all.
    Nothing,
    /// Both accounts are one.
    SameAccount,
    /// There is no such credit account.
    NoSuchAccount,
    /// The debit account is somebody else's.
    Foreign,
}

impl Doom {
    /// What the answer must be.
    pub fn code(self) -> Code {
        Code::of(match self {
            Self::TooMuch => "insufficient_funds",
            Self::Nothing => "amount_out_of_range",
            Self::SameAccount => "same_account",
            Self::NoSuchAccount => "credit_account_not_found",
            Self::Foreign => "not_found",
        })
    }
}

/// Why a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// To do what is wanted, for the first time or again with the same key.
    Asked,
    /// With the same key and another amount, which must be refused.
    Altered,
    /// To read what became of it.
    Looked,
}

/// One call and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Why.
    pub how: How,
    /// Through which router, as a place among all.
    pub router: u8,
    /// When it was sent.
    pub sent: Moment,
    /// When the answer was there, or was given up.
    pub answered: Moment,
    /// The answer.
    pub answer: Answer,
    /// Whether it says that it was given before.
    pub is_replay: bool,
}

/// Which of its entries have been found in the books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Booked {
    /// The entry on the debit account.
    pub debit: Option<i64>,
    /// The entry on the credit account.
    pub credit: Option<i64>,
}

/// What stays of the calls that were folded away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// What the key is answered with.
    pub answer: Answer,
    /// What became of the money.
    pub fate: Fate,
}

/// What became of money that was to move, as far as answers have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer says.
    Unknown,
    /// Nothing was ever asked of the wallet.
    Unasked,
    /// Set aside, by the wallet or by the client's wish.
    Open,
    /// Moved.
    Posted(i64),
    /// Not moved, and never will be.
    Never(Code),
}

/// A request under one key.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is wanted.
    pub want: Want,
    /// Every call since it was last folded, in the order of sending.
    pub attempts: Vec<Attempt>,
    /// What came before.
    pub settled: Option<Settled>,
    /// Of a reservation: the requests that are to end it.
    pub ends: Vec<RequestId>,
    /// The entries that earlier checks have found.
    pub booked: Booked,
    /// How often this was checked in its present state.
    pub checked: u8,
}

impl Request {
    /// A request that nothing was sent for yet.
    pub fn new(want: Want) -> Self {
        Self { want, attempts: vec![], settled: None, ends: vec![], booked: Booked::default(), checked: 0 }
    }

    /// The debit and the credit account, for whoever moves or sets aside money itself.
    pub fn accounts(&self) -> Option<(u32, u32)> {
        match self.want {
            Want::Transfer { debit, credit, .. } | Want::Reserve { debit, credit, .. } => Some((debit, credit)),
            Want::Commit { .. } | Want::Release { .. } => None,
        }
    }

    /// The amount asked for, all of a reservation.
    pub fn amount(&self) -> Option<i64> {
        match self.want {
            Want::Transfer { amount, .. } | Want::Reserve { amount, .. } => Some(amount),
            Want::Commit { .. } | Want::Release { .. } => None,
        }
    }

    /// The answers to the key itself, oldest first; what was folded away comes first.
    pub fn key_answers(&self) -> impl Iterator<Item = Answer> {
        let asked = self.attempts.iter().filter(|attempt| attempt.how == How::Asked).map(|attempt| attempt.answer);
        self.settled.iter().map(|settled| settled.answer).chain(asked)
    }

    /// The first answer that decides what the key stands for.
    pub fn decision(&self) -> Option<Answer> {
        self.key_answers().find(Answer::decides)
    }

    /// The transfer's id, if any answer has named it. Ends have the id of their reservation.
    pub fn transfer(&self) -> Option<Uuid> {
        let looked = self.attempts.iter().filter(|attempt| attempt.how != How::Altered).map(|attempt| attempt.answer);
        self.settled.iter().map(|settled| settled.answer).chain(looked).find_map(|answer| answer.transfer())
    }

    /// Whether a repeat of the key is needed to know what it stands for.
    pub fn is_open(&self) -> bool {
        let was_sent = self.key_answers().any(|answer| answer != Answer::NotSent);
        was_sent && self.decision().is_none()
    }

    /// What this request's own calls, its looks included, say of the money. For a reservation see also its ends.
    pub fn fate(&self) -> Fate {
        let mut fate = self.settled.map_or(Fate::Unasked, |settled| settled.fate);
        let told = self.attempts.iter().filter(|attempt| attempt.how != How::Altered);
        for answer in told.map(|attempt| attempt.answer) {
            fate = fate.and(Fate::of(answer));
        }
        fate
    }

    /// The first moment at which the wallet may have known of this; `None` if it never can have.
    pub fn first_sent(&self) -> Option<Moment> {
        let sent = self.attempts.iter().filter(|attempt| attempt.answer != Answer::NotSent);
        sent.map(|attempt| attempt.sent).min()
    }

    /// The first moment at which a client was told that the money has moved.
    pub fn told_posted(&self) -> Option<Moment> {
        let posted = |answer: &Answer| matches!(answer, Answer::Said(Said { state: State::Posted, .. }));
        let told = self.attempts.iter().filter(|attempt| posted(&attempt.answer));
        told.map(|attempt| attempt.answered).min()
    }
}

impl Fate {
    fn of(answer: Answer) -> Self {
        match answer {
            Answer::NotSent => Self::Unasked,
            Answer::Lost(_) | Answer::Open(..) | Answer::Nonsense(_) => Self::Unknown,
            Answer::Said(said) => match said.state {
                State::Pending | State::Reserved => Self::Open,
                State::Posted => Self::Posted(said.amount),
                State::Released(reason) | State::Rejected(reason) => Self::Never(reason),
            },
            Answer::Refused(_, code, _) | Answer::Denied(_, code) => Self::Never(code),
        }
    }

    /// What is known after both, the later one last. What is terminal stays; whether two terminal ones agree is a
    /// check's business.
    pub fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Posted(_) | Self::Never(_), _) => self,
            (_, Self::Posted(_) | Self::Never(_)) => later,
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Unasked, Self::Unasked) => Self::Unasked,
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Posted(_) | Self::Never(_) | Self::Unasked)
    }
}
