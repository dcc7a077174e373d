//! Defaults that follow from other fields.

mod extension;
mod image;
mod pod;
mod service;
mod workload;

use serde_json::{Map, Value};

use super::Rule;

type Object = Map<String, Value>;

/// Type and rule. A rule runs after the constants of its type and before the defaults of what lies below.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("core.v1.Pod", pod::pod),
    ("core.v1.PodSpec", pod::spec),
    ("core.v1.PodStatus", pod::status),
    ("core.v1.Container", pod::container),
    ("core.v1.EphemeralContainer", pod::container),
    ("core.v1.Volume", pod::volume),
    ("core.v1.ResourceRequirements", pod::resources),
    ("core.v1.VolumeResourceRequirements", pod::resources),
    ("core.v1.ResourceQuotaSpec", pod::resources),
    ("core.v1.LimitRangeItem", pod::limit_range_item),
    ("core.v1.Service", service::service),
    ("core.v1.ServicePort", service::port),
    ("core.v1.Namespace", service::namespace),
    ("core.v1.PersistentVolume", service::persistent_volume),
    ("core.v1.NodeStatus", service::node_status),
    ("networking.v1.NetworkPolicySpec", service::network_policy),
    ("core.v1.ReplicationController", workload::replication_controller),
    ("apps.v1.DeploymentStrategy", workload::deployment_strategy),
    ("apps.v1.DaemonSetUpdateStrategy", workload::daemon_set_strategy),
    ("apps.v1.StatefulSetUpdateStrategy", workload::stateful_set_strategy),
    ("apps.v1.StatefulSetSpec", workload::stateful_set),
    ("batch.v1.Job", workload::job),
    ("autoscaling.v2.HorizontalPodAutoscalerBehavior", workload::autoscaler_behavior),
    ("rbac.v1.Subject", extension::subject),
    ("apiextensions.v1.CustomResourceDefinition", extension::definition),
    ("apiextensions.v1.CustomResourceDefinitionNames", extension::definition_names),
    ("resource.v1.ExactDeviceRequest", extension::device_request),
    ("resource.v1.DeviceSubRequest", extension::device_request),
    ("resource.v1beta2.ExactDeviceRequest", extension::device_request),
    ("resource.v1beta2.DeviceSubRequest", extension::device_request),
    ("resource.v1beta1.DeviceRequest", extension::flat_device_request),
    ("resource.v1beta1.DeviceSubRequest", extension::device_request),
];

/// A text field, or empty.
fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a field has a value.
fn has(object: &Object, field: &str) -> bool {
    object.get(field).is_some_and(|v| !v.is_null())
}

/// Sets a field that has no value.
fn set(object: &mut Object, field: &str, value: impl Into<Value>) {
    if !has(object, field) {
        object.insert(field.to_owned(), value.into());
    }
}

/// An object below, if there is one.
fn below<'a>(object: &'a mut Object, field: &str) -> Option<&'a mut Object> {
    object.get_mut(field).and_then(Value::as_object_mut)
}

/// An object below, made when there is none.
fn made<'a>(object: &'a mut Object, field: &str) -> Option<&'a mut Object> {
    set(object, field, Object::new());
    below(object, field)
}

/// The objects of a list below.
fn each<'a>(object: &'a mut Object, field: &str) -> impl Iterator<Item = &'a mut Object> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// A non-empty map below.
fn entries<'a>(object: &'a Object, field: &str) -> Option<&'a Object> {
    object.get(field).and_then(Value::as_object).filter(|m| !m.is_empty())
}

/// Adds what a map below lacks of another.
fn complete(object: &mut Object, field: &str, from: Option<Object>) {
    let Some(from) = from else { return };
    let Some(target) = made(object, field) else { return };
    for (key, value) in from {
        set(target, &key, value);
    }
}
