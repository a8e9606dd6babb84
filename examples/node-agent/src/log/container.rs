use std::path::Path;

use futures::StreamExt as _;
use kubewright_cri::Runtime;
use kubewright_cri::v1::ContainerState;

use crate::log::{LogChunks, LogError, LogOptions, LogReader};

/// The log of a container that the runtime knows, by the runtime's id of it.
///
/// # Errors
///
/// If the runtime does not tell where the log is, or it cannot be opened.
///
/// # Cancel safety
///
/// Dropping the future, or what it returns, stops the reading.
pub async fn container_log(
    runtime: &Runtime,
    id: &str,
    options: &LogOptions,
) -> Result<LogChunks, LogError> {
    let status = runtime.container_status(id).await?;
    if status.log_path.is_empty() {
        return Err(LogError::NoFile { id: id.to_owned() });
    }
    let reader = LogReader::open(Path::new(&status.log_path), options).await?;
    let (runtime, id) = (runtime.clone(), id.to_owned());
    let chunks = reader.chunks(move || {
        let (runtime, id) = (runtime.clone(), id.clone());
        async move {
            let status = runtime.container_status(&id).await?;
            Ok(status.state() == ContainerState::ContainerRunning)
        }
    });
    Ok(chunks.boxed())
}
