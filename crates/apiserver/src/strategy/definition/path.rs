//! Paths into objects of a schema: `.spec.name`, and `['a.b']` where that is allowed.

use serde_json::Value;

/// The steps of a path, and the schema of what stands there.
pub(super) fn find<'a>(path: &str, schema: &'a Value, brackets: bool) -> Result<(Vec<String>, &'a Value), String> {
    let (mut steps, mut schema) = (Vec::new(), schema);
    let tokens = tokens(path);
    let mut tokens = tokens.iter().copied();
    let end = || "unexpected end of JSON path".to_owned();
    while let Some(token) = tokens.next() {
        let step = match token {
            "." => tokens.next().ok_or_else(end)?.to_owned(),
            "[" if !brackets => return Err("array notation is not allowed".to_owned()),
            "[" => unquoted(tokens.next().ok_or_else(end)?)?,
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        schema = below(schema, &step).ok_or("does not refer to a valid field")?;
        steps.push(step);
        if token == "[" {
            match tokens.next().ok_or_else(end)? {
                "]" => {}
                other => return Err(format!("expected ] but got {other}")),
            }
        }
    }
    Ok((steps, schema))
}

fn below<'a>(schema: &'a Value, step: &str) -> Option<&'a Value> {
    let has_properties = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    let found = if has_properties { &schema["properties"][step] } else { &schema["additionalProperties"] };
    found.is_object().then_some(found)
}

/// A text in single quotes.
fn unquoted(token: &str) -> Result<String, String> {
    let inner = token.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).filter(|_| token.len() > 1);
    let inner = inner.ok_or_else(|| format!("expected single quoted string but got {token}"))?;
    Ok(inner.replace("\\'", "'").replace("\\\\", "\\"))
}

/// Delimiters, quoted texts, and what stands between them.
fn tokens(path: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), path);
    while let Some(first) = rest.bytes().next() {
        let bytes = rest.as_bytes();
        let end = match first {
            b'.' | b'[' | b']' => 1,
            b'\'' => (1..bytes.len())
                .find(|at| bytes[*at] == b'\'' && bytes[at - 1] != b'\\')
                .map_or(rest.len(), |at| at + 1),
            _ => rest.find(['.', '[', ']']).unwrap_or(rest.len()),
        };
        let (token, left) = rest.split_at(end);
        found.push(token);
        rest = left;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_followed() {
        let text = json!({"type": "string"});
        let schema = json!({"properties": {
            "spec": {"properties": {"a.b": text, "c": {"additionalProperties": text}}},
        }});
        let check = |path: &str, brackets: bool, expected: Result<&[&str], &str>| {
            let found = find(path, &schema, brackets);
            let found = found.as_ref().map(|(steps, _)| steps.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(|why| why.as_str()), expected, "{path}");
        };
        check(".spec.c.x", false, Ok(&["spec", "c", "x"]));
        check(".spec['a.b']", true, Ok(&["spec", "a.b"]));
        check(".spec['a.b']", false, Err("array notation is not allowed"));
        check("spec", false, Err("expected [ or . but got: spec"));
        check(".", false, Err("unexpected end of JSON path"));
        check(".spec.d", false, Err("does not refer to a valid field"));
        check(".spec[a]", true, Err("expected single quoted string but got a"));
        check(".spec['a.b'.", true, Err("expected ] but got ."));
    }
}
