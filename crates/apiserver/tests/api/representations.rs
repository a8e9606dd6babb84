//! The same objects in other shapes: tables, metadata alone, YAML.

use serde_json::{Value, json};

use crate::seam::{CONFIG_MAPS, Server};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

async fn get(server: &Server, path: &str, accept: &str) -> crate::seam::Answer {
    server
        .send(&format!("GET {path}\nAccept: {accept}"), "")
        .await
}

#[tokio::test(start_paused = true)]
async fn a_list_and_an_object_are_tables_with_one_row_each() {
    let server = Server::new();
    let version = server.config_map("a", "1").await.version();
    for path in [CONFIG_MAPS.to_owned(), format!("{CONFIG_MAPS}/a")] {
        let table = get(&server, &path, TABLE).await.is(200).shows(json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": server.0.resource_version().to_string() },
        }));
        let row = &table.body["rows"][0];
        assert_eq!(row["cells"], json!(["a", 1, "0s"]));
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(
            row["object"]["metadata"]["resourceVersion"],
            version.to_string()
        );
        let columns: Vec<&Value> = table.body["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(columns, ["Name", "Data", "Age"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_carries_as_much_of_the_object_as_is_asked_for() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let row = async |include: &str| {
        let path = format!("{CONFIG_MAPS}?includeObject={include}");
        get(&server, &path, TABLE).await.is(200).body["rows"][0]["object"].clone()
    };
    assert_eq!(row("None").await, Value::Null);
    assert!(row("Metadata").await.get("data").is_none());
    let object = row("Object").await;
    assert_eq!(
        (&object["kind"], &object["data"]),
        (&json!("ConfigMap"), &json!({ "k": "1" }))
    );
    let path = format!("{CONFIG_MAPS}?includeObject=Bogus");
    get(&server, &path, TABLE).await.is(400);
    // Who asks for no table is not asked what to include in it.
    server.get(&path).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn metadata_alone_is_of_one_object_or_of_a_list() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let one = get(&server, &format!("{CONFIG_MAPS}/a"), PARTIAL)
        .await
        .is(200);
    assert!(one.body.get("data").is_none());
    one.shows(json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": { "name": "a" } }));
    let list = get(&server, CONFIG_MAPS, PARTIAL_LIST).await.is(200);
    assert_eq!(list.names(), ["a"]);
    list.shows(json!({ "kind": "PartialObjectMetadataList" }));
    get(&server, CONFIG_MAPS, PARTIAL).await.is(406);
    get(&server, &format!("{CONFIG_MAPS}/a"), PARTIAL_LIST)
        .await
        .is(406);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_write_has_the_shape_that_was_asked_for() {
    let server = Server::new();
    let body = json!({ "metadata": { "name": "a" } }).to_string();
    let created = server
        .send(&format!("POST {CONFIG_MAPS}\nAccept: {PARTIAL}"), body)
        .await
        .is(201);
    created.shows(json!({ "kind": "PartialObjectMetadata", "metadata": { "name": "a" } }));
    let error = server
        .send(&format!("GET {CONFIG_MAPS}/nope\nAccept: {TABLE}"), "")
        .await
        .is(404);
    error.shows(json!({ "kind": "Status", "reason": "NotFound" }));
}

#[tokio::test(start_paused = true)]
async fn yaml_is_taken_and_given() {
    let server = Server::new();
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: \"y\"\n";
    let request =
        format!("POST {CONFIG_MAPS}\nContent-Type: application/yaml\nAccept: application/yaml");
    let created = server.send(&request, body).await.is(201);
    assert_eq!(created.headers["content-type"], "application/yaml");
    let text = created.body.as_str().unwrap();
    assert!(
        text.contains("kind: ConfigMap\n") && text.contains("name: a\n"),
        "{text}"
    );
    server
        .get(&format!("{CONFIG_MAPS}/a"))
        .await
        .shows(json!({ "data": { "k": "y" } }));
}

#[tokio::test(start_paused = true)]
async fn what_nothing_speaks_is_refused() {
    let server = Server::new();
    server.config_map("a", "1").await;
    get(&server, &format!("{CONFIG_MAPS}/a"), "text/plain")
        .await
        .is(406)
        .shows(json!({ "reason": "NotAcceptable", "details": {} }));
    server
        .send(
            &format!("POST {CONFIG_MAPS}\nContent-Type: text/plain"),
            "x",
        )
        .await
        .is(415);
    server
        .send(&format!("POST {CONFIG_MAPS}"), "{\"metadata\":")
        .await
        .is(400);
}

#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_watch_of_tables_has_the_columns() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let mut watch = server.watch_as(&format!("{CONFIG_MAPS}?"), TABLE).await;
    let first = watch.next().await.unwrap();
    assert_eq!(
        (&first["type"], &first["object"]["kind"]),
        (&json!("ADDED"), &json!("Table"))
    );
    assert!(first["object"]["columnDefinitions"].is_array());
    server.config_map("b", "1").await;
    server.delete(&format!("{CONFIG_MAPS}/a")).await.is(200);
    let second = watch.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    let third = watch.next().await.unwrap();
    assert_eq!(third["type"], "DELETED");
    let version = server.0.resource_version().to_string();
    assert_eq!(
        third["object"]["metadata"]["resourceVersion"],
        version.as_str()
    );
    assert_eq!(
        third["object"]["rows"][0]["object"]["metadata"]["resourceVersion"],
        version.as_str()
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_metadata_shows_metadata_in_objects_and_bookmarks() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let query =
        "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server
        .watch_as(&format!("{CONFIG_MAPS}{query}"), PARTIAL)
        .await;
    let added = watch.next().await.unwrap();
    assert_eq!(added["object"]["kind"], "PartialObjectMetadata");
    assert!(added["object"].get("data").is_none());
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert_eq!(
        server
            .watch_as(&format!("{CONFIG_MAPS}?"), PARTIAL_LIST)
            .await
            .code,
        406
    );
    assert_eq!(
        server
            .watch_as(&format!("{CONFIG_MAPS}?"), "application/yaml")
            .await
            .code,
        406
    );
}

#[tokio::test(start_paused = true)]
async fn an_indented_answer_is_the_same_document() {
    let server = Server::new();
    server.config_map("a", "1").await;
    for path in [CONFIG_MAPS.to_owned(), format!("{CONFIG_MAPS}/a")] {
        let compact = server.get(&path).await.is(200);
        let indented = server.get(&format!("{path}?pretty=true")).await.is(200);
        assert_eq!(compact.body, indented.body);
        let request = format!("GET {path}\nAccept: application/yaml");
        let yaml = server.send(&request, "").await.is(200);
        assert!(yaml.body.as_str().unwrap().contains("  name: a\n"));
    }
}

/// Serves widgets: with a schema, columns, and a field to select by.
async fn define_widgets(server: &Server) {
    let definition = json!({
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": { "type": "object", "properties": {
                        "size": { "type": "integer" },
                        "color": { "type": "string" },
                    } } },
                } },
                "additionalPrinterColumns": [
                    { "name": "Size", "type": "integer", "jsonPath": ".spec.size" },
                    { "name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1 },
                ],
                "selectableFields": [{ "jsonPath": ".spec.color" }],
            }],
        },
    });
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.post(path, definition).await.is(201);
}

#[tokio::test(start_paused = true)]
async fn custom_resources_are_shown_and_selected_as_their_definition_says() {
    const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";
    let server = Server::new();
    define_widgets(&server).await;
    for (name, size, color) in [("a", 3, "red"), ("b", 4, "blue")] {
        let widget = json!({
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": { "name": name },
            "spec": { "size": size, "color": color },
        });
        server.post(WIDGETS, widget).await.is(201);
    }
    let table = get(&server, WIDGETS, TABLE).await.is(200);
    let cells: Vec<&Value> = table.body["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["cells"])
        .collect();
    assert_eq!(cells, [&json!(["a", 3, "red"]), &json!(["b", 4, "blue"])]);
    assert_eq!(table.body["columnDefinitions"][2]["priority"], 1);
    let red = server
        .get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred"))
        .await
        .is(200);
    assert_eq!(red.names(), ["a"]);
    server
        .get(&format!("{WIDGETS}?fieldSelector=spec.size%3D3"))
        .await
        .is(400)
        .shows(json!({
            "message": "field label not supported: spec.size",
        }));
    let document = server.get("/openapi/v3/apis/example.com/v1").await.is(200);
    let schema = &document.body["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(
        schema["properties"]["spec"]["properties"]["size"],
        json!({ "type": "integer" })
    );
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "Widget"
    );
}
