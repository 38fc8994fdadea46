//! Decimal numbers, compared exactly.

use rust_decimal::Decimal;

/// A number with or without a fraction and an exponent; `None` also if it has more than 28 digits.
pub fn decimal(text: &str) -> Option<Decimal> {
    // `rust_decimal` reads `1_000` as 1000, as nothing else here does.
    if text.contains('_') {
        return None;
    }
    Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()
}
