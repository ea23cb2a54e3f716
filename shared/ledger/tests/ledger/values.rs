//! Amounts, currencies, texts and stored numbers at their edges.

use ledger::{
    AMOUNT_LIMIT, Amount, Currency, InvalidText, REFERENCE_CHARS_MAX, Rejection, Timestamp, USER_ID_BYTES_MAX,
    UnknownRejection, UserId, check_line, check_text,
};
use std::collections::BTreeSet;

#[test]
fn amounts_are_added_and_taken_within_the_limit_only() {
    let limit = Amount(AMOUNT_LIMIT);
    let max = Amount(i64::MAX);
    let cases = [
        (Amount(1).checked_add(Amount(2)), Some(3)),
        (limit.checked_add(Amount(0)), Some(AMOUNT_LIMIT)),
        (limit.checked_add(Amount(1)), None),
        (limit.checked_add(limit), None),
        (max.checked_add(Amount(1)), None),
        (Amount(i64::MIN).checked_add(Amount(-1)), None),
        (Amount(2).checked_sub(Amount(3)), Some(-1)),
        (Amount(-AMOUNT_LIMIT).checked_sub(Amount(0)), Some(-AMOUNT_LIMIT)),
        (Amount(-AMOUNT_LIMIT).checked_sub(Amount(1)), None),
        (Amount(0).checked_sub(Amount(i64::MIN)), None),
        (Amount(i64::MIN).checked_sub(max), None),
    ];
    for (case, (result, expected)) in cases.into_iter().enumerate() {
        assert_eq!(result.map(Amount::get), expected, "case {case}");
    }
}

#[test]
fn only_three_capital_letters_are_a_currency() {
    assert_eq!("SGD".parse::<Currency>().unwrap().as_str(), "SGD");
    for text in ["", "SG", "SGDX", "sgd", "SgD", "SG1", "S D", "ÄB", "\0\0\0"] {
        assert!(text.parse::<Currency>().is_err(), "{text:?}");
    }
}

#[test]
fn a_user_id_is_one_short_line() {
    assert!(UserId::try_from("a".repeat(USER_ID_BYTES_MAX)).is_ok());
    let refused = [
        (String::new(), InvalidText::Empty),
        ("a".repeat(USER_ID_BYTES_MAX + 1), InvalidText::TooLong(USER_ID_BYTES_MAX)),
        ("é".repeat(USER_ID_BYTES_MAX / 2 + 1), InvalidText::TooLong(USER_ID_BYTES_MAX)),
        ("yu\nnus".to_owned(), InvalidText::ControlCharacter),
        ("yunus\0".to_owned(), InvalidText::ControlCharacter),
        ("\u{85}".to_owned(), InvalidText::ControlCharacter),
    ];
    for (text, why) in refused {
        assert_eq!(UserId::try_from(text.clone()), Err(why), "{text:?}");
    }
}

#[test]
fn a_line_is_counted_in_characters_and_holds_no_control_characters() {
    assert_eq!(check_line(&"é".repeat(REFERENCE_CHARS_MAX), REFERENCE_CHARS_MAX), Ok(()));
    assert_eq!(check_line(&"é".repeat(65), 64), Err(InvalidText::TooLong(64)));
    assert_eq!(check_line("", 64), Err(InvalidText::Empty));
    for text in ["a\tb", "a\nb", "a\0b", "\u{7f}"] {
        assert_eq!(check_line(text, 64), Err(InvalidText::ControlCharacter), "{text:?}");
    }
}

#[test]
fn free_text_may_break_lines_but_holds_no_other_control_characters() {
    assert_eq!(check_text("dear nick,\r\n\tthanks 🎉"), Ok(()));
    assert_eq!(check_text(""), Ok(()));
    for text in ["a\0b", "\u{1b}[31m", "\u{7f}", "\u{9b}"] {
        assert_eq!(check_text(text), Err(InvalidText::ControlCharacter), "{text:?}");
    }
}

/// They are stored: neither may ever change.
#[test]
fn the_numbers_and_codes_of_rejections_are_pinned() {
    let pinned = [
        (1, "idempotency_key_reused"),
        (2, "insufficient_funds"),
        (3, "amount_out_of_range"),
        (4, "amount_exceeds_reserved"),
        (5, "currency_mismatch"),
        (6, "currency_unknown"),
        (7, "region_unknown"),
        (8, "same_account"),
        (9, "credit_account_not_found"),
        (10, "credit_user_not_found"),
        (11, "account_frozen"),
        (12, "account_closed"),
        (13, "account_limit_reached"),
        (14, "limit_exceeded"),
        (15, "message_too_long"),
        (16, "voided"),
        (17, "released_by_client"),
        (18, "expired"),
    ];
    let found = Rejection::ALL.map(|rejection| (rejection.number(), rejection.code()));
    assert_eq!(found, pinned);
    for (number, code) in pinned {
        assert_eq!(Rejection::try_from(number).unwrap().code(), code);
    }
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), Rejection::ALL.len());
    for number in [i16::MIN, -1, 0, 19, i16::MAX] {
        assert_eq!(Rejection::try_from(number), Err(UnknownRejection(number)));
    }
}

#[test]
fn a_time_before_the_epoch_counts_as_the_epoch() {
    assert_eq!(Timestamp(1_999).unix_ms(), 1);
    assert_eq!(Timestamp(-1_999).unix_ms(), 0);
    assert_eq!(Timestamp(i64::MIN).unix_ms(), 0);
}
