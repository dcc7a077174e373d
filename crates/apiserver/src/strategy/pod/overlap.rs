//! Files of a volume that get in each other's way.

use object::field::quote;

use super::super::field::At;

/// A path in a volume and where it comes from.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    path: String,
    from: String,
}

/// Warnings about the volumes of a pod.
pub(super) fn warnings(volumes: &At<'_>) -> Vec<String> {
    volumes.items().flat_map(|volume| of_volume(&volume)).collect()
}

fn of_volume(volume: &At<'_>) -> Vec<String> {
    let name = quote(volume.at("name").text());
    let mut warnings = Vec::new();
    let mut add = |what: &str, overlaps: Vec<String>| {
        warnings.extend(overlaps.into_iter().map(|o| format!("volume {name} ({what}): overlapping paths: {o}")));
    };
    for (kind, shown, field) in
        [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "DownwardAPI", "")]
    {
        let source = volume.at(kind);
        let what =
            if field.is_empty() { shown.to_owned() } else { format!("{shown} {}", quote(source.at(field).text())) };
        let places = paths(&source, "");
        add(&what, overlaps(&mut Vec::new(), places));
    }
    let mut all = Vec::new();
    for source in volume.at("projected").at("sources").items() {
        if source.is_empty() {
            warnings.push(format!("volume {name} (Projected) has no sources provided"));
            continue;
        }
        let found = overlaps(&mut all, projected(&source));
        warnings.extend(found.into_iter().map(|o| format!("volume {name} (Projected): overlapping paths: {o}")));
    }
    warnings
}

fn projected(source: &At<'_>) -> Vec<Place> {
    for (kind, shown) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let of = source.at(kind);
        if of.at("items").is_set() {
            return paths(&of, &format!("{shown} {}", quote(of.at("name").text())));
        }
    }
    if source.at("downwardAPI").at("items").is_set() {
        return paths(&source.at("downwardAPI"), "DownwardAPI");
    }
    let token = source.at("serviceAccountToken");
    let place = Place { path: token.at("path").text().to_owned(), from: "ServiceAccountToken".to_owned() };
    if token.is_set() { vec![place] } else { Vec::new() }
}

fn paths(source: &At<'_>, from: &str) -> Vec<Place> {
    let place = |item: At<'_>| Place { path: item.at("path").text().to_owned(), from: from.to_owned() };
    source.at("items").items().map(place).collect()
}

/// Tells which of the new places lie at or below earlier ones, or above them.
fn overlaps(known: &mut Vec<Place>, new: Vec<Place>) -> Vec<String> {
    let mut found = Vec::new();
    for mut place in new {
        place.path.truncate(place.path.trim_end_matches('/').len());
        let below = |a: &str, b: &str| format!("{a}/").starts_with(&format!("{b}/"));
        let both = |other: &&Place| !place.path.is_empty() && !other.path.is_empty();
        let collides = |other: &&Place| below(&other.path, &place.path) || below(&place.path, &other.path);
        for other in known.iter().filter(both).filter(collides) {
            found.push(format!("{} with {}", shown(&place), shown(other)));
        }
        known.push(place);
    }
    found
}

fn shown(place: &Place) -> String {
    let path = quote(&place.path);
    if place.from.is_empty() { path } else { format!("{path} ({})", place.from) }
}
