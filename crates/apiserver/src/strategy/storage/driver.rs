//! CSIDrivers.

use object::field::{Error, ErrorList, Path};
use serde_json::{Value, json};

use crate::strategy::field::{At, remove};
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct CsiDriver;

const FS_GROUP_POLICIES: &[&str] = &["File", "None", "ReadWriteOnceWithFSType"];
const MODES: &[&str] = &["Persistent", "Ephemeral"];
const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;
const SHORTEST_PERIOD: i64 = 10;

/// Fields that must be there, and how upstream calls them.
const REQUIRED: &[(&str, &str)] = &[
    ("attachRequired", "attachedRequired"),
    ("podInfoOnMount", "podInfoOnMount"),
    ("storageCapacity", "storageCapacity"),
];

impl Strategy for CsiDriver {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        remove(&mut object["spec"], "preventPodSchedulingIfMissing");
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        if old["spec"]["preventPodSchedulingIfMissing"].is_null() {
            remove(&mut object["spec"], "preventPodSchedulingIfMissing");
        }
        // Drivers are made without a generation; changes are counted all the same.
        if object["spec"] != old["spec"] {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let missing = REQUIRED.iter().filter(|(field, _)| !spec.at(field).is_set());
        errors.extend(missing.map(|(_, name)| Error::required(&spec.path.child(name), "")));
        let policy = spec.at("fsGroupPolicy");
        if policy.is_set() && !FS_GROUP_POLICIES.contains(&policy.text()) {
            errors.push(policy.unsupported(FS_GROUP_POLICIES));
        }
        tokens(&spec.at("tokenRequests"), &mut errors);
        let modes = spec.at("volumeLifecycleModes");
        for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
            errors.push(Error::not_supported(&modes.path, mode.text(), MODES));
        }
        if !spec.at("seLinuxMount").is_set() {
            errors.push(spec.at("seLinuxMount").required(""));
        }
        let period = spec.at("nodeAllocatableUpdatePeriodSeconds");
        if period.number().is_some_and(|period| period < SHORTEST_PERIOD) {
            errors.push(period.invalid("must be greater than or equal to 10 seconds"));
        }
        let secrets = spec.at("serviceAccountTokenInSecrets");
        if secrets.is_set() && spec.at("tokenRequests").is_empty() {
            errors.push(secrets.invalid("serviceAccountTokenInSecrets is set but no tokenRequests are specified"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        for (field, name) in [REQUIRED[0], ("volumeLifecycleModes", "volumeLifecycleModes")] {
            let new = &object["spec"][field];
            if *new != old["spec"][field] {
                errors.push(Error::invalid(&Path::new("spec").child(name), new.clone(), "field is immutable"));
            }
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let spec = At::root(object).at("spec");
        let requests = spec.at("tokenRequests");
        let same = old.is_some_and(|old| old["spec"]["tokenRequests"] == *requests.value);
        if same || requests.is_empty() || spec.at("serviceAccountTokenInSecrets").is_set() {
            return Vec::new();
        }
        let text = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                    possible logging of tokens in volume attributes";
        vec![text.to_owned()]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn tokens(at: &At<'_>, errors: &mut ErrorList) {
    let mut audiences = Vec::new();
    for request in at.items() {
        let (audience, expiration) = (request.at("audience"), request.at("expirationSeconds"));
        if audiences.contains(&audience.text()) {
            errors.push(Error::duplicate(&audience.path, audience.text()));
            continue;
        }
        audiences.push(audience.text());
        if expiration.number().is_some_and(|seconds| seconds < SHORTEST_TOKEN) {
            errors.push(expiration.invalid("may not specify a duration less than 10 minutes"));
        }
        if expiration.number().is_some_and(|seconds| seconds > LONGEST_TOKEN) {
            errors.push(expiration.invalid("may not specify a duration larger than 2^32 seconds"));
        }
    }
}
