//! `/scale`: the replicas of anything, seen and written as an autoscaling/v1 `Scale`.

use async_trait::async_trait;
use object::field::{Error as FieldError, Path};
use schema::resource::ScalePaths;
use serde_json::{Map, Value, json};

use super::current::{Change, Current, Edit};
use super::edit::Replacement;
use super::metadata::text;
use super::{Admitting, Registry, Scope};
use crate::admit::Operation;
use crate::error::{Error, Result};
use crate::parameters::WriteOptions;

/// Where the new scale comes from.
pub(crate) enum Rescale<'a> {
    /// A whole `Scale`.
    Put(&'a Value),
    /// A patch of the present one.
    Patch(&'a (dyn Fn(&mut Value) -> Result<()> + Sync)),
}

/// Sets the replicas of whatever the object is.
struct Scaling<'a> {
    registry: &'a Registry,
    how: Replacement<'a>,
    paths: &'a ScalePaths,
    change: &'a Rescale<'a>,
}

#[async_trait]
impl Edit for Scaling<'_> {
    async fn edit(&mut self, current: &Current) -> Result<Change> {
        let scope = self.how.scope;
        let present = scale_of(&current.object, self.paths);
        let mut scale = present.clone();
        match self.change {
            Rescale::Put(new) => scale = (*new).clone(),
            Rescale::Patch(patch) => patch(&mut scale)?,
        }
        let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        check(scope, &scale, replicas)?;
        let mut object = current.object.clone();
        put(&mut object, &self.paths.spec_replicas, replicas.into());
        for field in ["resourceVersion", "uid"] {
            super::metadata::set(&mut object, field, scale["metadata"][field].clone());
        }
        self.registry.finish(&self.how, current, object).await
    }
}

fn check(scope: &Scope<'_>, scale: &Value, replicas: i64) -> Result<()> {
    let name = text(scale, "name");
    if !name.is_empty() && name != scope.target.name {
        let text =
            format!("the name of the object ({name}) does not match the name on the URL ({})", scope.target.name);
        return Err(Error::bad_request(text));
    }
    if replicas < 0 {
        let path = Path::new("spec").child("replicas");
        let error = FieldError::invalid(&path, replicas, "must be greater than or equal to 0");
        return Err(Error::invalid("autoscaling", "Scale", &scope.target.name, &error.into()));
    }
    Ok(())
}

impl Registry {
    /// Writes a scale; the answer is the scale as it is then.
    pub(crate) async fn rescale(
        &self,
        scope: &Scope<'_>,
        paths: &ScalePaths,
        change: &Rescale<'_>,
        options: &WriteOptions,
    ) -> Result<Value> {
        let admitting = Admitting::new(scope, Operation::Update, options.to_value("UpdateOptions"), options.dry_run);
        let manager = super::update::manager(scope, options);
        let how = Replacement { scope, admitting: &admitting, manager: &manager, status_only: false };
        let mut scaling = Scaling { registry: self, how, paths, change };
        let written = self.change(scope, &scope.key(), &mut scaling, options.dry_run).await?;
        written.map(|written| scale_of(&written.object, paths)).ok_or_else(|| scope.not_found())
    }
}

/// The scale of an object.
pub(crate) fn scale_of(object: &Value, paths: &ScalePaths) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path: &str| get(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut spec = Map::new();
    if number(&paths.spec_replicas) != 0 {
        spec.insert("replicas".to_owned(), number(&paths.spec_replicas).into());
    }
    let mut status = json!({ "replicas": number(&paths.status_replicas) });
    if let Some(selector) = paths.selector.as_ref().and_then(|path| get(object, path)).and_then(selector_text) {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    })
}

/// A selector in its text form: it may be text already, a map of labels, or a `LabelSelector`.
fn selector_text(selector: &Value) -> Option<String> {
    if let Some(text) = selector.as_str() {
        return Some(text.to_owned());
    }
    let structured = selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let selector = if structured {
        object::LabelSelector::from_json(Some(selector)).ok()?
    } else {
        object::LabelSelector::from_map(selector)
    };
    Some(selector.to_string())
}

fn get<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, part| value.get(part))
}

/// Puts a value at a dotted path, making the objects on the way.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for part in path.trim_start_matches('.').split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> ScalePaths {
        ScalePaths {
            spec_replicas: "spec.replicas".into(),
            status_replicas: "status.replicas".into(),
            selector: Some("spec.selector".into()),
        }
    }

    #[test]
    fn scales_are_views() {
        let object = json!({
            "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"replicas": 2},
        });
        let scale = scale_of(&object, &paths());
        assert_eq!(scale["spec"], json!({"replicas": 3}));
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "app=web"}));
        assert_eq!(scale["metadata"], json!({"name": "a"}));
    }

    #[test]
    fn replicas_are_put_where_there_is_nothing() {
        let mut object = json!({"metadata": {}});
        put(&mut object, ".spec.replicas", 5.into());
        assert_eq!(object["spec"]["replicas"], 5);
    }
}
