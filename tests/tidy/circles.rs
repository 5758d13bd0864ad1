//! Circles of imports: between the files and folders of one folder, and between rooms.
//!
//! A folder's own `mod.rs` stands for the folder and is no part of a circle in it: what it re-exports counts as the file
//! that defines it. Tests beside the code may look at whoever uses it.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust::Crate;

/// Who imports whom, with what is imported as an example.
pub type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// For each folder (as `http`, `""` for the root) who imports whom in it.
pub fn graphs(krate: &Crate) -> BTreeMap<String, Graph> {
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for module in &krate.modules {
        if module.path.is_empty() || module.path == ["main"] {
            continue;
        }
        for name in module.names.iter().filter(|name| !name.in_tests) {
            let Some(target) = krate.definition(&name.path) else { continue };
            let shared = module.path.iter().zip(&target.path).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (module.path.get(shared), target.path.get(shared)) else { continue };
            graphs
                .entry(module.path[..shared].join("/"))
                .or_default()
                .entry(from.clone())
                .or_default()
                .entry(to.clone())
                .or_insert_with(|| name.path.join("::"));
        }
    }
    graphs
}

/// Every circle, told as `http: connection imports http::server::Protocols, server imports …`; the shortest one through
/// each of its members.
pub fn circles(graphs: &BTreeMap<String, Graph>) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, graph) in graphs {
        let mut told: BTreeSet<String> = BTreeSet::new();
        for start in graph.keys() {
            let Some(circle) = shortest(graph, start) else { continue };
            if circle.iter().any(|member| told.contains(member)) {
                continue;
            }
            let next = circle.iter().cycle().skip(1);
            let steps: Vec<String> =
                circle.iter().zip(next).map(|(from, to)| format!("{from} imports {}", graph[from][to])).collect();
            found.push(format!("src/{folder}: {}", steps.join(", ")));
            told.extend(circle);
        }
    }
    found
}

/// The shortest way from a member back to itself.
fn shortest(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| graph.get(last)).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push([way.clone(), vec![next.clone()]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The floors, lowest first: a room stands above all that it imports. None if rooms import each other in a circle.
pub fn floors(rooms: &[String], graph: &Graph) -> Option<Vec<Vec<String>>> {
    let mut floors: Vec<Vec<String>> = Vec::new();
    let mut left: Vec<&String> = rooms.iter().collect();
    while !left.is_empty() {
        let stands =
            |room: &String| graph.get(room).into_iter().flat_map(BTreeMap::keys).all(|below| !left.contains(&below));
        let (floor, rest): (Vec<&String>, Vec<&String>) = left.iter().partition(|room| stands(room));
        if floor.is_empty() {
            return None;
        }
        floors.push(floor.into_iter().cloned().collect());
        left = rest;
    }
    Some(floors)
}
