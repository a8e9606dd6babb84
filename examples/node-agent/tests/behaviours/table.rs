//! The behaviours, in the order in which an agent comes to have them.

use std::pin::Pin;

use anyhow::Result;

use crate::rows;
use crate::suite::Kind;
use crate::world::World;

/// A behaviour, as one test.
pub(crate) struct Row {
    /// Which of the list it belongs to.
    pub(crate) number: u8,
    /// What it is.
    pub(crate) name: String,
    /// Shows it.
    pub(crate) run: Box<dyn Fn(World) -> Shown + Send>,
    /// Whether a runtime without isolation can show it.
    pub(crate) on: On,
    /// Whether it needs a node of its own.
    pub(crate) place: Place,
}

/// On which node a behaviour is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On one with others.
    Shared,
    /// On one of its own, whose agent it may stop.
    Alone,
}

/// Where a behaviour can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// On any runtime.
    Any,
    /// Only where containers have file systems, users and namespaces of their own.
    Isolation,
    /// Only on the process runtime, for what it speaks and containerd 1.6 does not.
    NoIsolation,
}

impl On {
    /// Whether a kind of runtime can show it.
    pub(crate) fn can_be_shown(self, kind: Kind) -> bool {
        match self {
            Self::Any => true,
            Self::Isolation => kind == Kind::Containerd,
            Self::NoIsolation => kind == Kind::Process,
        }
    }
}

/// A behaviour on its way.
pub(crate) type Shown = Pin<Box<dyn Future<Output = Result<()>>>>;

/// One row; `$run` is an async function of a [`World`].
macro_rules! row {
    ($first:literal, $name:literal, $on:ident, $run:path) => {
        row!($first, $name, $on, Shared, $run)
    };
    ($number:literal, $name:literal, $on:ident, $place:ident, $run:path) => {
        Row {
            number: $number,
            name: $name.to_owned(),
            run: Box::new(|world| Box::pin($run(world))),
            on: $crate::table::On::$on,
            place: $crate::table::Place::$place,
        }
    };
}
pub(crate) use row;

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    rows::all()
}

/// Where the list is, for people.
const DOCUMENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/node-agent-behaviours.md"
);

/// The variable with which the document is written rather than compared.
const WRITE: &str = "KUBEWRIGHT_WRITE_DOCS";

/// Compares the list in the documentation with this one.
pub(crate) fn check_documentation() -> Result<()> {
    let list = document();
    if std::env::var_os(WRITE).is_some() {
        return Ok(std::fs::write(DOCUMENT, list)?);
    }
    let written = std::fs::read_to_string(DOCUMENT)?;
    anyhow::ensure!(
        written == list,
        "{DOCUMENT} is not as it should be: run this with {WRITE}=1"
    );
    Ok(())
}

fn document() -> String {
    let rows = rows();
    let numbers = |kind| {
        let shown = rows.iter().filter(|row| row.on.can_be_shown(kind));
        let numbers = shown.map(|row| row.number);
        numbers.collect::<std::collections::BTreeSet<_>>().len()
    };
    let mut text = format!(
        "# The behaviours of the node agent\n\n\
         The end-to-end tests of Kubernetes 1.36 that a node passes, in the order in which an agent \
         comes to have them, as tests of this one.\n\
         Tests that belong together share a number.\n\
         On the process runtime {} of 57 numbers are shown, by `cargo test -p node-agent --test behaviours`; on \
         containerd {} of 57, by `KUBEWRIGHT_CONTAINERD=required cargo test -p node-agent --test \
         behaviours-containerd`, which needs root and the packages that `crates/containerd` names.\n\n\
         This file is written by `KUBEWRIGHT_WRITE_DOCS=1 cargo test -p node-agent --test behaviours`, and \
         compared by the tests.\n\n\
         | number | behaviour | process runtime | containerd |\n|---|---|---|---|\n",
        numbers(Kind::Process),
        numbers(Kind::Containerd),
    );
    for row in &rows {
        let (process, containerd) = match row.on {
            On::Any => ("yes", "yes"),
            On::Isolation => ("needs isolation", "yes"),
            On::NoIsolation => ("yes", "containerd 1.6 speaks version 4"),
        };
        text.push_str(&format!(
            "| {} | {} | {process} | {containerd} |\n",
            row.number, row.name
        ));
    }
    text
}
