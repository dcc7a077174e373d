//! YAML in and out.

use serde_json::Value;

use super::{DecodeError, MAX_YAML_DEPTH};

/// Runs a visitor over the first document, within budgets against alias bombs, deep nesting and endless documents.
pub(super) fn with_parser(
    bytes: &[u8],
    visit: impl for<'e> FnOnce(serde_saphyr::Deserializer<'_, 'e>) -> Result<Value, serde_saphyr::Error>,
) -> Result<Value, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(DecodeError::Utf8)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_YAML_DEPTH,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, visit)
        .map_err(|error| DecodeError::Yaml(Box::new(error)))
}

/// Prints a value with sorted keys.
pub(super) fn write(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    serde_saphyr::to_string(&sorted).expect("a Value always serialises")
}
