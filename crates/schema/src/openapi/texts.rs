//! Descriptions of types and fields: those of the `k8s-openapi` crate's schemas, which the build packs (see `build.rs`).

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

/// A zlib stream. Unpacked: `=<definition>` starts a type, `:<text>` describes it, `<field>\t<text>` its fields; line breaks
/// in texts are U+0001.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions"));

/// All descriptions, unpacked: about a megabyte, so nobody keeps them.
pub struct Texts {
    text: String,
    /// The lines of each type.
    types: HashMap<Box<str>, Range<usize>>,
}

impl Texts {
    /// Unpacks the descriptions.
    #[must_use]
    pub fn read() -> Self {
        let mut text = String::new();
        // What the build packed can be unpacked: a test does it.
        let _ = flate2::read::ZlibDecoder::new(PACKED).read_to_string(&mut text);
        let mut types = HashMap::new();
        let mut at = 0;
        for block in text.split_inclusive("\n=") {
            let name = block.lines().next().unwrap_or_default().trim_start_matches('=');
            types.insert(name.into(), at..at + block.len());
            at += block.len();
        }
        Self { text, types }
    }

    /// What a definition is: `io.k8s.api.core.v1.Pod`.
    pub(super) fn ty(&self, name: &str) -> Option<String> {
        self.lines(name).find_map(|line| line.strip_prefix(':')).map(clean)
    }

    pub(super) fn field(&self, ty: &str, field: &str) -> Option<String> {
        self.lines(ty).find_map(|line| line.strip_prefix(field)?.strip_prefix('\t')).map(clean)
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let range = self.types.get(name).cloned().unwrap_or_default();
        self.text[range].lines().skip(1)
    }
}

fn clean(text: &str) -> String {
    text.replace('\u{1}', "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_are_described() {
        let texts = Texts::read();
        let check = |found: Option<String>, start: &str| {
            let text = found.unwrap_or_default();
            assert!(text.starts_with(start), "{text:?} does not start with {start:?}");
        };
        let pod_spec = "io.k8s.api.core.v1.PodSpec";
        check(texts.ty("io.k8s.api.core.v1.Pod"), "Pod is a collection of containers");
        check(texts.field(pod_spec, "containers"), "List of containers");
        check(texts.field(pod_spec, "hostNetwork"), "Host networking");
        check(texts.ty("io.k8s.apimachinery.pkg.api.resource.Quantity"), "Quantity is");
        check(texts.field("io.k8s.api.apps.v1.Deployment", "metadata"), "Standard object");
        check(texts.field("io.k8s.api.core.v1.ConfigMap", "apiVersion"), "APIVersion defines");
        let schema = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        check(texts.field(schema, "format"), "format is");
        assert_eq!(texts.field(schema, "description"), None);
        assert!(texts.ty("io.k8s.apimachinery.pkg.api.resource.Quantity").unwrap().contains('\n'));
        assert!(texts.types.len() > 600, "{}", texts.types.len());
    }
}
