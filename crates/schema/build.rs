//! Packs the descriptions of types and fields, which `kubectl explain` and OpenAPI show.
//!
//! They are those of the `k8s-openapi` crate's schemas. Its `schemars` feature would compile all of its types a second time,
//! for the build, which takes minutes; the texts stand in its source in a regular form, so this reads them there. Cargo says
//! where the source is.
#![expect(clippy::disallowed_methods, reason = "build scripts are told everything by the environment")]

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder of the version that the workspace uses.
const VERSION: &str = "src/v1_36";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    let source = source()?.join(VERSION);
    let mut files = Vec::new();
    collect(&source, &mut files)?;
    files.sort();
    let mut text = String::new();
    for file in files {
        append(&mut text, &fs::read_to_string(file)?);
    }
    if text.is_empty() {
        return Err(format!("{} has no schemas in the form that is expected", source.display()).into());
    }
    let output = Path::new(&env::var("OUT_DIR")?).join("descriptions");
    let mut packer = flate2::write::ZlibEncoder::new(fs::File::create(output)?, flate2::Compression::best());
    packer.write_all(text.as_bytes())?;
    packer.finish()?;
    Ok(())
}

/// Where cargo keeps the source of `k8s-openapi`. A build that has fetched only what it compiles may lack packages that cargo
/// wants to list: then it may fetch them.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    let text = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let manifests = text.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut folders = manifests.filter_map(|manifest| Path::new(manifest).parent());
    let found = folders.find(|folder| is_source(&folder.file_name().unwrap_or_default().to_string_lossy()));
    Ok(found.ok_or("cargo metadata names no k8s-openapi")?.to_owned())
}

/// Folders have the crate's version in their name, or not where they are vendored.
fn is_source(folder: &str) -> bool {
    let version = folder.strip_prefix("k8s-openapi");
    version
        .is_some_and(|rest| rest.is_empty() || rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()))
}

fn metadata(more: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.args(["metadata", "--format-version=1", "--locked"]).args(more);
    let output = cargo.arg("--filter-platform").arg(env::var("TARGET")?).output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Appends what one file says. Rustfmt has put every line where it belongs: the type's description is 12 columns in, fields
/// are 16, and their descriptions 20.
fn append(out: &mut String, file: &str) {
    let Some((_, schema)) = file.split_once("fn schema_name()") else { return };
    let Some(name) = schema.split('"').nth(1) else { return };
    out.push_str(&format!("={name}\n"));
    let mut field = None;
    for line in schema.lines() {
        let text = line.trim_start();
        match line.len() - text.len() {
            12 => {
                if let Some(text) = described(text) {
                    out.push_str(&format!(":{text}\n"));
                }
            }
            16 => field = text.strip_prefix('"').and_then(|rest| rest.split('"').next()),
            20 => {
                if let (Some(field), Some(text)) = (field, described(text)) {
                    out.push_str(&format!("{field}\t{text}\n"));
                }
            }
            _ => {}
        }
    }
}

/// The text of a line that gives a description.
fn described(line: &str) -> Option<String> {
    const INSERTED: &str = "schema_obj.ensure_object().insert(\"description\".into(), \"";
    let rest = line.strip_prefix("\"description\": \"").or_else(|| line.strip_prefix(INSERTED))?;
    let mut text = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                'n' => text.push('\u{1}'),
                't' => text.push('\t'),
                other => text.push(other),
            },
            letter => text.push(letter),
        }
    }
}
