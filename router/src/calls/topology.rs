//! `GET /v1/admin/topology`.

use crate::admission::Asked;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::spec::{Access, AnswerSpec, Parameter, Spec, Values};
use http::{HeaderValue, StatusCode, header};
use placement::{OwnershipMap, ShardId, Slot, Topology};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use wire::api::{Currency, ErrorCode, RegionView, ShardView, TopologyView};

/// What the call is.
pub const SPEC: Spec = Spec {
    name: "get_topology",
    path: "/v1/admin/topology",
    access: Access::Admin,
    headers: &[Parameter {
        name: "If-None-Match",
        description: "The `ETag` of an earlier answer: if nothing has changed, the answer is 304 without a body.",
        values: Values::Text,
    }],
    summary: "Read the topology",
    description: "The newest topology that this router knows, and how many slots each shard owns.",
    answers: &[
        AnswerSpec {
            status: 200,
            description: "The topology.",
            body: Some(("TopologyView", EXAMPLE)),
            headers: &["ETag"],
        },
        AnswerSpec { status: 304, description: "Nothing has changed.", body: None, headers: &["ETag"] },
    ],
    ..Spec::PLAIN
};

const EXAMPLE: &str = r#"{"version": 1, "currencies": [{"code": "SGD", "exponent": 0, "transfer_amount_max": 999999}],
    "regions": [{"name": "sg", "code": 1, "slots_known": 4096}],
    "shards": [{"id": 1, "region": "sg", "weight": 100, "state": "active", "addresses": ["127.0.0.1:8280"],
    "slots": 4096}]}"#;

/// Reads the topology.
///
/// # Errors
/// See [`SPEC`].
pub fn run(exchange: &Exchange<'_>, asked: &Asked<'_>) -> Outcome {
    let topology = exchange.topology()?;
    let view = exchange.app.directory.view();
    let reply = Reply::json(StatusCode::OK, &shown(&topology, &view.ownership))?;
    let digest = Sha256::digest(&reply.body);
    let etag = HeaderValue::try_from(format!("\"{}.{}\"", topology.version, hex::encode(&digest[..8])));
    let etag = etag.map_err(|_| Refusal::new(ErrorCode::Internal))?;
    Ok(reply.unless_matched(etag, asked.headers.get(header::IF_NONE_MATCH)))
}

fn shown(topology: &Topology, ownership: &OwnershipMap) -> TopologyView {
    let slots = slots_by_shard(topology, ownership);
    TopologyView {
        version: topology.version,
        currencies: topology.currencies.iter().map(Currency::from).collect(),
        regions: topology
            .regions
            .iter()
            .map(|region| RegionView {
                name: region.name.clone(),
                code: region.code,
                slots_known: ownership.slots_known(region.code),
            })
            .collect(),
        shards: topology
            .shards
            .iter()
            .map(|shard| ShardView {
                id: shard.id,
                region: shard.region.clone(),
                weight: shard.weight,
                state: shard.state,
                addresses: shard.addresses.clone(),
                slots: slots.get(&shard.id).copied().unwrap_or(0),
            })
            .collect(),
    }
}

fn slots_by_shard(topology: &Topology, ownership: &OwnershipMap) -> HashMap<ShardId, usize> {
    let mut slots = HashMap::new();
    for region in &topology.regions {
        for (owner, _) in Slot::all().filter_map(|slot| ownership.owner(region.code, slot)) {
            *slots.entry(owner).or_default() += 1;
        }
    }
    slots
}
