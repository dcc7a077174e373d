//! `exec -it`: a terminal that follows the size of the user's.

use testing::cluster::run;

use super::Kubectl;
use crate::has;

/// Runs kubectl on a terminal of 20 by 20. When the far end has shown that size, ours is changed; the far end waits until
/// it sees the change.
pub(super) fn has_a_terminal(kubectl: &Kubectl<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = folder.path().join("shown");
    let far = "tty; until stty size 2>/dev/null | grep -q \"20 20\"; do usleep 10000; done; echo near: $(stty size); \
               until stty size | grep \"33 101\"; do usleep 10000; done; exit 3";
    let inner = kubectl.command(&format!("exec -it shell -- sh -c '{far}'"));
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let near: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
    let resize = format!(
        "(until grep -q 'near: [2]0 20' {}; do sleep 0.02; done; stty rows 33 cols 101 < /dev/tty)",
        shown.display()
    );
    let line = format!("stty rows 20 cols 20; {resize} & {}", near.join(" "));
    let mut command = kubectl.cluster.machine().command("script");
    command.args(["-qefc", &line]).arg(&shown).env("KUBECONFIG", kubectl.cluster.kubeconfig());
    let printed = run(command.envs(kubectl.environment.iter().copied()));
    assert_eq!(printed.code, Some(3), "{printed:?}");
    has(&printed.stdout, &["/dev/pts/0", "near: 20 20", "33 101"]);
}
