//! Tokens of service accounts, as volumes.

use anyhow::{Result, ensure};
use serde_json::json;

use super::mounted::{printed, with_volume};
use crate::table::{Row, row};
use crate::world::World;

pub(crate) fn rows() -> Vec<Row> {
    vec![row!(
        41,
        "a projected volume has a token of the service account",
        Any,
        projected_token
    )]
}

async fn projected_token(world: World) -> Result<()> {
    let account = json!({"metadata": {"name": "robot"}});
    world
        .create::<k8s_openapi::api::core::v1::ServiceAccount>(account)
        .await?;
    let volume = json!({"projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
    ]}});
    let mut spec = with_volume(volume, "cat token");
    spec["serviceAccountName"] = json!("robot");
    let token = printed(&world, spec).await?;
    let review = json!({"metadata": {}, "spec": {"token": token, "audiences": ["vault"]}});
    let review = serde_json::from_value(review)?;
    let reviews = kube_client::Api::<k8s_openapi::api::authentication::v1::TokenReview>::all(
        world.client.clone(),
    );
    let review = reviews.create(&Default::default(), &review).await?;
    let status = review.status.unwrap_or_default();
    let user = status
        .user
        .and_then(|user| user.username)
        .unwrap_or_default();
    let expected = format!("system:serviceaccount:{}:robot", world.namespace);
    ensure!(
        status.authenticated == Some(true) && user == expected,
        "{user:?} {:?}",
        status.error
    );
    Ok(())
}
