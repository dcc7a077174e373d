//! Reading what is needed of proto files: messages, and their fields with numbers and types.

use std::{collections::HashMap, fs, path::Path};

use super::{Result, file};

/// All messages below a directory, by full name.
pub(super) struct Protos(HashMap<String, Message>);

pub(super) struct Message {
    package: String,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) ty: String,
    pub(super) repeated: bool,
}

impl Protos {
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut protos = Self(HashMap::new());
        protos.walk(directory)?;
        Ok(protos)
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.0.get(name)
    }

    /// The message that a field's type names, seen from the message that has the field.
    pub(super) fn resolve(&self, from: &Message, ty: &str) -> Option<&Message> {
        match ty.strip_prefix('.') {
            Some(absolute) => self.message(absolute),
            None => self.message(&format!("{}.{ty}", from.package)),
        }
    }

    fn walk(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).map_err(file("list", directory))? {
            let path = entry.map_err(file("list", directory))?.path();
            if path.is_dir() {
                self.walk(&path)?;
            } else if path.extension().is_some_and(|e| e == "proto") {
                let text = fs::read_to_string(&path).map_err(file("read", &path))?;
                self.file(&text);
            }
        }
        Ok(())
    }

    fn file(&mut self, text: &str) {
        let mut package = String::new();
        let mut current: Option<(String, Message)> = None;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("package ") {
                package = name.trim_end_matches(';').to_owned();
            } else if let Some(name) = line.strip_prefix("message ") {
                let name = format!("{package}.{}", name.trim_end_matches('{').trim());
                current = Some((name, Message { package: package.clone(), fields: Vec::new() }));
            } else if line == "}" {
                self.0.extend(current.take());
            } else if let (Some((_, message)), Some(field)) = (&mut current, field(line)) {
                message.fields.push(field);
            }
        }
    }
}

impl Message {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// `optional string name = 1;`, `repeated A a = 2;`, `map<string, B> b = 3;`
fn field(line: &str) -> Option<Field> {
    let (left, number) = line.strip_suffix(';')?.split_once(" = ")?;
    let number = number.split(' ').next()?.parse().ok()?;
    let (ty, name) = left.rsplit_once(' ')?;
    let repeated = ty.starts_with("repeated ");
    let ty = ty.trim_start_matches("optional ").trim_start_matches("repeated ");
    (!line.starts_with("//") && !line.starts_with("option ")).then(|| Field {
        name: name.to_owned(),
        number,
        ty: ty.to_owned(),
        repeated,
    })
}
