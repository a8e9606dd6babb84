//! Prints what happens to the pods of the cluster that kubeconfig names, until Ctrl-C.

use k8s_openapi::api::core::v1::Pod;
use kube_client::{Client, Config};
use kubewright_informer::{Event, EventHandler, HandlerConfig, InformerFactory};
use tokio_util::sync::CancellationToken;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "printing is the purpose")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut config = Config::infer().await?;
    config.default_retry = false; // The informer retries by itself, and says so.
    let factory = InformerFactory::new(Client::try_from(config)?);
    let (handler, config) = (printer(|line| println!("{line}")), HandlerConfig::default());
    factory.informer()?.add_handler(handler, config)?;
    tokio::select! {
        ran = factory.run(CancellationToken::new()) => ran?,
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    Ok(())
}

fn printer(print: impl Fn(String) + Send + 'static) -> impl EventHandler<Pod> {
    move |event: Event<Pod>| {
        let verb = match event {
            Event::Added { .. } => "Add",
            Event::Updated { .. } => "Update",
            Event::Deleted { .. } => "Delete",
        };
        print(format!("[{verb}] {}", event.object().meta().name()));
    }
}

#[cfg(test)]
mod tests;
