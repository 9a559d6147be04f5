//! One configuration after another: what only a restart can change, and what goes on.

use std::mem::discriminant;

use anyhow::bail;

use crate::config::Config;
use crate::route::Route;
use crate::route::list::Ids;

/// Refuses a change that only a restart can bring.
pub(super) fn refuse_restart_keys(old: &Config, new: &Config) -> anyhow::Result<()> {
    let table = [
        ("state_dir", old.state_dir != new.state_dir),
        (
            "store.kind",
            discriminant(&old.store) != discriminant(&new.store),
        ),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("log.format", old.observe.format != new.observe.format),
    ];
    let changed: Vec<_> = table
        .into_iter()
        .filter_map(|(key, has_changed)| has_changed.then_some(key))
        .collect();
    if !changed.is_empty() {
        bail!("needs a restart: {} changed", changed.join(", "));
    }
    Ok(())
}

/// Goes on with the lists that both have, because streams of the old generation look at them too. Blocking file access.
pub(super) fn keep_lists(old: &Config, new: &mut Config) {
    let kept: Vec<Ids> = old.routes.routes.iter().flat_map(lists).cloned().collect();
    for route in &mut new.routes.routes {
        for list in [&mut route.rule.allow, &mut route.rule.deny]
            .into_iter()
            .flatten()
        {
            // One that cannot be read now is not taken: the new one could be.
            if let Some(same) = kept.iter().find(|kept| *kept == list)
                && same.reload().is_ok()
            {
                *list = same.clone();
            }
        }
    }
}

fn lists(route: &Route) -> impl Iterator<Item = &Ids> {
    [&route.rule.allow, &route.rule.deny].into_iter().flatten()
}
