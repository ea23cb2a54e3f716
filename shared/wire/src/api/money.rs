//! Currencies, and money that enters or leaves.

use placement::topology::CurrencySpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A currency that accounts may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Currency {
    /// The ISO 4217 code.
    #[schema(example = "SGD")]
    pub code: String,
    /// How many decimal digits the integer amounts carry: 0 for whole dollars, 2 for cents.
    #[schema(example = 0)]
    pub exponent: u8,
    /// The largest amount of one transfer.
    #[schema(example = 999999)]
    pub transfer_amount_max: i64,
}

impl From<&CurrencySpec> for Currency {
    fn from(spec: &CurrencySpec) -> Self {
        Currency { code: spec.code.clone(), exponent: spec.exponent, transfer_amount_max: spec.transfer_amount_max }
    }
}

/// `GET /v1/currencies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyList {
    /// The currencies.
    pub items: Vec<Currency>,
}

/// `POST /v1/admin/deposits` and `POST /v1/admin/withdrawals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalMoveRequest {
    /// The customer's account.
    #[schema(minimum = 1, maximum = 9007199254740991_u64, example = 140737488420864_u64)]
    pub account_id: u64,
    /// How much, from 1.
    #[schema(example = 1000)]
    pub amount: i64,
    /// The payment outside that this mirrors: one line, 1 to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "bank-2026-0007", min_length = 1, max_length = 64)]
    pub reference: Option<String>,
}
