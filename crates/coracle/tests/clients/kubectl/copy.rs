//! `cp` both ways.

use std::fs;
use std::path::Path;

use super::Kubectl;
use super::exec::bulk;
use crate::has;

pub(super) fn copies(kubectl: &Kubectl<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    copies_folders(kubectl, here);
    copies_much(kubectl, here);
    copies_what_is_not_there(kubectl, here);
    kubectl.ok("exec shell -- rm -rf /tmp/tree /tmp/bulk");
}

fn copies_folders(kubectl: &Kubectl<'_>, here: &Path) {
    let tree = [("tree/top.txt", "top\n"), ("tree/deep/er/bottom.txt", "bottom\n"), ("tree/empty", "")];
    for (path, content) in tree {
        fs::create_dir_all(here.join(path).parent().expect("a folder")).expect("made");
        fs::write(here.join(path), content).expect("written");
    }
    kubectl.ok(&format!("cp {}/tree shell:/tmp/", here.display()));
    assert_eq!(kubectl.ok("exec shell -- cat /tmp/tree/deep/er/bottom.txt"), "bottom\n");
    kubectl.ok(&format!("cp shell:/tmp/tree {}/back", here.display()));
    for (path, content) in tree {
        let back = here.join(path.replacen("tree", "back", 1));
        assert_eq!(fs::read_to_string(&back).expect("it came back"), content, "{path}");
    }
}

fn copies_much(kubectl: &Kubectl<'_>, here: &Path) {
    let data = bulk(20_000_000);
    fs::write(here.join("bulk"), &data).expect("written");
    kubectl.ok(&format!("cp {}/bulk shell:/tmp/bulk -c main", here.display()));
    kubectl.ok(&format!("cp shell:tmp/bulk {}/again", here.display()));
    assert!(fs::read(here.join("again")).expect("it came back") == data, "what came back differs");
}

fn copies_what_is_not_there(kubectl: &Kubectl<'_>, here: &Path) {
    let here = here.display();
    has(&kubectl.fails("cp /no/such shell:/tmp"), &["/no/such doesn't exist in local filesystem"]);
    has(&kubectl.fails(&format!("cp {here}/bulk nobody:/tmp")), &["pods \"nobody\" not found"]);
    // kubectl may leave between the end of the archive and tar's words: then it says nothing.
    let mut said = (0..50).map(|_| kubectl.run(&format!("cp shell:/no/such {here}/none")));
    let told = |printed: testing::Printed| (printed.stdout + &printed.stderr).contains("No such file or directory");
    assert!(said.any(told), "tar's words never came");
    assert!(!Path::new(&format!("{here}/none")).exists());
}
