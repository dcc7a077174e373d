//! Walking an object with the path at hand, and the checks that many fields share.

use object::field::{Error, ErrorList, Path};
use object::names;
use object::quantity::Quantity;
use serde_json::Value;

/// A check of [`object::names`]: what is wrong with a text.
pub(super) type Check = fn(&str) -> Vec<String>;

/// A value and where it stands. Absent values are null.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    pub(super) path: Path,
}

impl<'a> At<'a> {
    /// The object itself.
    pub(super) fn root(object: &'a Value) -> Self {
        Self { value: object, path: Path::root() }
    }

    pub(super) fn at(&self, field: &str) -> Self {
        Self { value: &self.value[field], path: self.path.child(field) }
    }

    pub(super) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let path = self.path.clone();
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(index, value)| Self { value, path: path.index(index) })
    }

    /// The entries of a map; paths end in `[key]`.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let path = self.path.clone();
        let entries = self.value.as_object().into_iter().flatten();
        entries.map(move |(key, value)| (key.as_str(), Self { value, path: path.key(key) }))
    }

    /// Which of `fields` the object here has.
    pub(super) fn present<'b>(&self, fields: &'b [&'b str]) -> impl Iterator<Item = &'b str> + use<'a, 'b> {
        let value = self.value;
        fields.iter().copied().filter(move |field| !value[*field].is_null())
    }

    /// How many entries the list here has.
    pub(super) fn count(&self) -> usize {
        self.value.as_array().map_or(0, Vec::len)
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.value.as_array().into_iter().flatten().map(|value| value.as_str().unwrap_or_default())
    }

    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(super) fn number(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(super) fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    /// Whether the field is there and not null.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether there is nothing in it: absent, `""`, `[]`, `{}`.
    pub(super) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// The same value at another place: upstream's errors do not always name the field as the object does.
    pub(super) fn shown(&self, path: Path) -> Self {
        Self { value: self.value, path }
    }

    /// The value as a quantity.
    pub(super) fn quantity(&self) -> Option<Quantity> {
        match self.value {
            Value::String(text) => Quantity::parse(text).ok(),
            Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
            _ => None,
        }
    }

    pub(super) fn not_found(&self) -> Error {
        Error::not_found(&self.path, self.value.clone())
    }

    pub(super) fn required(&self, detail: &str) -> Error {
        Error::required(&self.path, detail)
    }

    pub(super) fn invalid(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path, self.value.clone(), detail)
    }

    pub(super) fn forbidden(&self, detail: impl Into<String>) -> Error {
        Error::forbidden(&self.path, detail)
    }

    pub(super) fn duplicate(&self) -> Error {
        Error::duplicate(&self.path, self.value.clone())
    }

    pub(super) fn unsupported(&self, supported: &[&str]) -> Error {
        Error::not_supported(&self.path, self.value.clone(), supported)
    }
}

/// Must not be empty. Returns whether it is not.
pub(super) fn required(at: &At<'_>, errors: &mut ErrorList) -> bool {
    if at.is_empty() {
        errors.push(at.required(""));
    }
    !at.is_empty()
}

/// Must hold nothing that `check` complains of.
pub(super) fn well_formed(at: &At<'_>, check: Check, errors: &mut ErrorList) {
    errors.extend_invalid(&at.path, at.text(), check(at.text()));
}

/// Must be there and well formed.
pub(super) fn required_name(at: &At<'_>, check: Check, errors: &mut ErrorList) {
    if required(at, errors) {
        well_formed(at, check, errors);
    }
}

/// May be absent, must otherwise be well formed.
pub(super) fn optional_name(at: &At<'_>, check: Check, errors: &mut ErrorList) {
    if !at.is_empty() {
        well_formed(at, check, errors);
    }
}

/// Must be one of `supported`, which are sorted.
pub(super) fn one_of(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if required(at, errors) && !supported.contains(&at.text()) {
        errors.push(at.unsupported(supported));
    }
}

/// May be absent, must otherwise be one of `supported`.
pub(super) fn optional_one_of(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if !at.is_empty() {
        one_of(at, supported, errors);
    }
}

/// Must be one of `supported`; nothing at all is as unsupported as anything else.
pub(super) fn supported(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if !supported.contains(&at.text()) {
        errors.push(Error::not_supported(&at.path, at.text(), supported));
    }
}

/// May be absent, must otherwise be one of `supported`, empty or not.
pub(super) fn optional_supported(at: &At<'_>, choices: &[&str], errors: &mut ErrorList) {
    if at.is_set() {
        supported(at, choices, errors);
    }
}

/// Must be there, and one of `choices`.
pub(super) fn one_of_listed(at: &At<'_>, choices: &[&str], errors: &mut ErrorList) {
    if required(at, errors) {
        supported(at, choices, errors);
    }
}

/// Must be a domain of three segments or more.
pub(super) fn fully_qualified(at: &At<'_>, errors: &mut ErrorList) {
    if !required(at, errors) {
        return;
    }
    let wrong = names::dns1123_subdomain(at.text());
    if !wrong.is_empty() {
        errors.push(at.invalid(wrong.join(",")));
    } else if at.text().split('.').count() < 3 {
        errors.push(at.invalid("should be a domain with at least three segments separated by dots"));
    }
}

/// A list of `metav1.Condition`, one of each type.
pub(super) fn conditions(at: &At<'_>, errors: &mut ErrorList) {
    const MAX_REASON: usize = 1 << 10;
    const MAX_MESSAGE: usize = 32 << 10;
    let mut seen = std::collections::BTreeSet::new();
    for condition in at.items() {
        let (kind, reason, message) = (condition.at("type"), condition.at("reason"), condition.at("message"));
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        well_formed(&kind, names::qualified_name, errors);
        supported(&condition.at("status"), &["False", "True", "Unknown"], errors);
        let generation = condition.at("observedGeneration");
        if generation.number().is_some_and(|n| n < 0) {
            errors.push(generation.invalid("must be greater than or equal to zero"));
        }
        required(&condition.at("lastTransitionTime"), errors);
        if required(&reason, errors) {
            well_formed(&reason, names::condition_reason, errors);
        }
        for (text, max) in [(reason, MAX_REASON), (message, MAX_MESSAGE)] {
            if text.text().len() > max {
                errors.push(Error::too_long(&text.path, max));
            }
        }
    }
}

pub(super) fn non_negative(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|n| n < 0) {
        errors.push(at.invalid("must be greater than or equal to 0"));
    }
}

pub(super) fn positive(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|n| n <= 0) {
        errors.push(at.invalid("must be greater than 0"));
    }
}

pub(super) fn above_zero(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|n| n <= 0) {
        errors.push(at.invalid("must be greater than zero"));
    }
}

/// Must be an address, written plainly unless it was there before.
pub(super) fn plain_ip(at: &At<'_>, before: &[&str], errors: &mut ErrorList) {
    if !before.contains(&at.text()) {
        well_formed(at, names::strict_ip, errors);
    }
}

/// The same for a block of addresses.
pub(super) fn plain_cidr(at: &At<'_>, before: &[&str], errors: &mut ErrorList) {
    if !before.contains(&at.text()) {
        well_formed(at, names::strict_cidr, errors);
    }
}

/// Must be a port number.
pub(super) fn port(at: &At<'_>, errors: &mut ErrorList) {
    let messages = names::port_number(at.number().unwrap_or_default());
    errors.extend(messages.into_iter().map(|message| at.invalid(message)));
}

/// Must be a port number or a port's name.
pub(super) fn port_or_name(at: &At<'_>, errors: &mut ErrorList) {
    match at.value {
        Value::String(name) => errors.extend_invalid(&at.path, name, names::port_name(name)),
        _ => port(at, errors),
    }
}

/// Must not differ from `old`.
pub(super) fn immutable(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if at.value != old {
        errors.push(at.invalid("field is immutable"));
    }
}

/// Must not climb out of the directory it is under.
pub(super) fn no_backsteps(at: &At<'_>, errors: &mut ErrorList) {
    if at.text().split('/').any(|step| step == "..") {
        errors.push(at.invalid("must not contain '..'"));
    }
}

/// Must be below some directory, wherever that is.
pub(super) fn descending(at: &At<'_>, errors: &mut ErrorList) {
    if at.text().starts_with('/') {
        errors.push(at.invalid("must be a relative path"));
    }
    no_backsteps(at, errors);
}

/// Must be below some directory, by a name that is not reserved.
pub(super) fn local_path(at: &At<'_>, errors: &mut ErrorList) {
    descending(at, errors);
    if at.text().starts_with("..") && !at.text().starts_with("../") {
        errors.push(at.invalid("must not start with '..'"));
    }
}

/// The texts of a list.
pub(super) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A place to set fields: the object at `field`, made if need be.
pub(super) fn object_at<'a>(object: &'a mut Value, field: &str) -> &'a mut serde_json::Map<String, Value> {
    let place = &mut object[field];
    if !place.is_object() {
        *place = Value::Object(serde_json::Map::new());
    }
    place.as_object_mut().expect("it was just made an object")
}

/// Takes a field out, keeping the order of the others.
pub(super) fn remove(object: &mut Value, field: &str) {
    if let Value::Object(fields) = object {
        fields.shift_remove(field);
    }
}
