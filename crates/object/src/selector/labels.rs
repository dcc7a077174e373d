//! Label selectors: requirements, their JSON form, matching and printing.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde_json::Value;

use super::{Labels, SelectorError, parse};
use crate::{
    field::{Error, ErrorList, Path},
    names,
};

/// What a requirement asks of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One term of a selector. Values are sorted and distinct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    pub values: BTreeSet<String>,
}

/// A conjunction of requirements, sorted by key; or the selector that matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LabelSelector {
    Nothing,
    All(Vec<Requirement>),
}

impl Default for LabelSelector {
    fn default() -> Self {
        Self::everything()
    }
}

impl LabelSelector {
    #[must_use]
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Reads the text form: `a=b,c!=d,e in (f,g),!h,i`. The empty text selects everything.
    ///
    /// # Errors
    /// When the text is no selector, or a key or value is no label.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text).map(Self::sorted)
    }

    /// Reads `metav1.LabelSelector` JSON (`matchLabels`, `matchExpressions`). Absent or null selects nothing, `{}`
    /// everything, as upstream has it.
    ///
    /// # Errors
    /// When an operator is unknown or a key or value is no label.
    pub fn from_json(selector: Option<&Value>) -> Result<Self, SelectorError> {
        let Some(selector) = selector.filter(|s| !s.is_null()) else { return Ok(Self::Nothing) };
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(Requirement::new(key, Operator::Equals, [value.as_str().unwrap_or_default().into()])?);
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(Requirement::from_json(expression)?);
        }
        Ok(Self::sorted(requirements))
    }

    /// Reads a plain map of labels (`spec.selector` of Services and ReplicationControllers) without checking it.
    #[must_use]
    pub fn from_map(map: &Value) -> Self {
        let entries = map.as_object().into_iter().flatten();
        Self::sorted(entries.map(|(k, v)| Requirement::equals(k, v.as_str().unwrap_or_default())).collect())
    }

    #[must_use]
    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(requirements) => requirements.iter().all(|r| r.matches(labels)),
        }
    }

    /// True when it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(requirements) if requirements.is_empty())
    }

    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        match self {
            Self::Nothing => &[],
            Self::All(requirements) => requirements,
        }
    }

    fn sorted(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self::All(requirements)
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements().iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl Requirement {
    /// A checked requirement.
    ///
    /// # Errors
    /// When the key or a value is no label, or the number of values does not fit the operator.
    pub fn new(key: &str, operator: Operator, values: impl IntoIterator<Item = String>) -> Result<Self, SelectorError> {
        let requirement = Self { key: key.to_owned(), operator, values: values.into_iter().collect() };
        let errors = requirement.mistakes();
        if errors.is_empty() { Ok(requirement) } else { Err(SelectorError(errors.message())) }
    }

    pub(super) fn equals(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), operator: Operator::Equals, values: BTreeSet::from([value.to_owned()]) }
    }

    fn from_json(expression: &Value) -> Result<Self, SelectorError> {
        let text = |field| expression.get(field).and_then(Value::as_str).unwrap_or_default();
        let operator = match text("operator") {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                let quoted = crate::field::quote(other);
                return Err(SelectorError(format!("{quoted} is not a valid label selector operator")));
            }
        };
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        Self::new(text("key"), operator, values.filter_map(Value::as_str).map(str::to_owned))
    }

    #[must_use]
    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        let label = labels.label(&self.key);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn | Operator::NotEquals => label.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => self.compare(label).is_some_and(std::cmp::Ordering::is_gt),
            Operator::LessThan => self.compare(label).is_some_and(std::cmp::Ordering::is_lt),
        }
    }

    fn compare(&self, label: Option<&str>) -> Option<std::cmp::Ordering> {
        let label: i64 = label?.parse().ok()?;
        let bound: i64 = self.values.first()?.parse().ok()?;
        Some(label.cmp(&bound))
    }

    fn mistakes(&self) -> ErrorList {
        let mut errors = ErrorList::new();
        let key_errors = names::qualified_name(&self.key);
        if !key_errors.is_empty() {
            errors.push(Error::invalid(&Path::new("key"), self.key.as_str(), key_errors.join("; ")));
        }
        let path = Path::new("values");
        if let Some(detail) = self.wrong_count() {
            let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
            errors.push(Error::invalid(&path, values, detail));
        }
        for (i, value) in self.values.iter().enumerate() {
            if matches!(self.operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err() {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.push(Error::invalid(&path.index(i), value.as_str(), detail));
            }
            let value_errors = names::label_value(value);
            if !value_errors.is_empty() {
                let path = path.index(i).key(&self.key);
                errors.push(Error::invalid(&path, value.as_str(), value_errors.join("; ")));
            }
        }
        errors
    }

    fn wrong_count(&self) -> Option<&'static str> {
        let count = self.values.len();
        match self.operator {
            Operator::In | Operator::NotIn if count == 0 => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if count != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if count != 0 => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if count != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let (key, values) = (&self.key, values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}
