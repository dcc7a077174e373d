//! Who a process runs as, found in the container's own `/etc/passwd` and `/etc/group`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Attempt as _, Failure};
use crate::spec::{Identity, User};

/// Most bytes read of either file: they come out of images.
const MAX_FILE: u64 = 4 << 20;

/// A user as the kernel and the environment want it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) identity: Identity,
    pub(super) home: String,
}

/// A line of `/etc/passwd`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves names and numbers. A number needs no entry; a name does.
pub(super) fn resolve(user: &User, passwd: &Path, group: &Path) -> Result<Account, Failure> {
    let passwd = read(passwd)?;
    let group = read(group)?;
    let (name, group_name) = user.name.split_once(':').map_or((user.name.as_str(), None), |(u, g)| (u, Some(g)));
    let wanted = user.uid.map(|uid| uid.to_string()).unwrap_or_else(|| name.to_owned());
    let wanted = if wanted.is_empty() { "0" } else { &wanted };
    let entry = find_user(&passwd, wanted);
    let uid = match (&entry, wanted.parse()) {
        (Some(entry), _) => entry.uid,
        (None, Ok(uid)) => uid,
        (None, Err(_)) => return Err(missing("user", wanted, "passwd")),
    };
    let gid = match (user.gid, group_name.filter(|group| !group.is_empty())) {
        (Some(gid), _) => gid,
        // A user given by number has left the image's user behind, and with it that user's group.
        (None, Some(name)) if user.uid.is_none() => {
            find_group(&group, name).ok_or_else(|| missing("group", name, "group"))?
        }
        _ => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let mut groups = vec![gid];
    groups.extend(&user.groups);
    if user.image_groups
        && let Some(entry) = &entry
    {
        groups.extend(groups_of(&group, entry.name));
    }
    dedup(&mut groups);
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(Account { identity: Identity { uid, gid, groups }, home: home.to_owned() })
}

fn missing(what: &str, name: &str, file: &str) -> Failure {
    Failure::Program(format!("unable to find {what} {name}: no matching entries in {file} file"))
}

fn read(path: &Path) -> Result<String, Failure> {
    let what = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(e).attempt(what),
    };
    if !file.metadata().attempt(what)?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).attempt(what)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find_user<'a>(passwd: &'a str, wanted: &str) -> Option<Entry<'a>> {
    let number = wanted.parse::<u32>().ok();
    passwd.lines().filter_map(parse_user).find(|entry| entry.name == wanted || Some(entry.uid) == number)
}

fn parse_user(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let home = fields.nth(1).unwrap_or_default();
    Some(Entry { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
}

/// Name, number and members of each line of `/etc/group`.
fn parse_groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name, gid.parse().ok()?, fields.next().unwrap_or_default()))
    })
}

fn find_group(group: &str, wanted: &str) -> Option<u32> {
    let number = wanted.parse::<u32>().ok();
    parse_groups(group).find(|(name, gid, _)| *name == wanted || Some(*gid) == number).map(|(_, gid, _)| gid).or(number)
}

fn groups_of(group: &str, user: &str) -> Vec<u32> {
    let member = |members: &str| members.split(',').any(|member| member == user);
    parse_groups(group).filter(|(_, _, members)| member(members)).map(|(_, gid, _)| gid).collect()
}

/// Removes repetitions, keeping the order.
fn dedup(groups: &mut Vec<u32>) {
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:100:101:Web:/srv/web:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:101:\nlogs:x:7:web,root\nextra:x:9:web\n";

    fn resolved(user: &User) -> Result<Account, String> {
        let dir = tempfile::tempdir().unwrap();
        let (passwd, group) = (dir.path().join("passwd"), dir.path().join("group"));
        std::fs::write(&passwd, PASSWD).unwrap();
        std::fs::write(&group, GROUP).unwrap();
        resolve(user, &passwd, &group).map_err(|e| e.to_string())
    }

    fn check(user: User, (uid, gid, groups): (u32, u32, &[u32]), home: &str) {
        let identity = Identity { uid, gid, groups: groups.to_vec() };
        assert_eq!(resolved(&user), Ok(Account { identity, home: home.into() }), "{user:?}");
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let named = |name: &str| User { name: name.into(), image_groups: true, ..Default::default() };
        check(named(""), (0, 0, &[0, 7]), "/root");
        check(named("web"), (100, 101, &[101, 7, 9]), "/srv/web");
        check(named("100"), (100, 101, &[101, 7, 9]), "/srv/web");
        check(named("web:logs"), (100, 7, &[7, 9]), "/srv/web");
        check(named("web:55"), (100, 55, &[55, 7, 9]), "/srv/web");
        check(named("4242"), (4242, 0, &[0]), "/");
    }

    #[test]
    fn the_pods_choice_outranks_the_images() {
        let user = User { name: "web:logs".into(), ..Default::default() };
        check(User { uid: Some(0), ..user.clone() }, (0, 0, &[0]), "/root");
        check(User { uid: Some(7), gid: Some(8), groups: vec![9, 8], ..user.clone() }, (7, 8, &[8, 9]), "/");
        check(User { gid: Some(8), groups: vec![5], ..user }, (100, 8, &[8, 5]), "/srv/web");
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = resolved(&User { name: "nobody".into(), ..Default::default() }).unwrap_err();
        assert_eq!(error, "unable to find user nobody: no matching entries in passwd file");
        let error = resolved(&User { name: "web:nogroup".into(), ..Default::default() }).unwrap_err();
        assert_eq!(error, "unable to find group nogroup: no matching entries in group file");
    }

    #[test]
    fn images_without_the_files_have_root() {
        let none = Path::new("/nonexistent");
        let account = resolve(&User::default(), none, none).unwrap();
        assert_eq!(account.identity, Identity { uid: 0, gid: 0, groups: vec![0] });
        assert_eq!(account.home, "/");
    }
}
