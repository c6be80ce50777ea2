//! What is refused, where it stands, and that all of it comes at once.

use pypz::Pipeline;

use crate::problems;

#[test]
fn all_problems_of_a_file_come_at_once_with_line_and_column() {
    let said = problems(
        "
name: shop
paramters: {}
spec:
  nestedInstances:
  - name: orders
    parameters:
      recordCount: many
      colour: red
    spec: {name: 'shop:Orders', location: 'http://x'}
    dependsOn: [nobody]
  - name: totals
    replicas: 3
    parameters: {replicationFactor: -1}
    spec:
      name: shop:Totals
      nestedInstances:
      - {name: orders, parameters: {partitioning: sideways, maxRecordBytes: x}}
      - {name: nothing}
    connections:
    - inputPortName: orders
      source: {instanceName: order, outputPortName: orders}
    - inputPortName: priced
      source: {instanceName: orders, outputPortName: price}
    - inputPortName: totals
      source: {instanceName: orders, outputPortName: orders}
    - inputPortName: priced
",
    );
    let expected = [
        "yaml:3:1: shop: there is no field 'paramters': there are dependsOn, name, parameters, spec",
        "yaml:8:7: shop.orders: parameter 'recordCount' wants u64, but was given a text",
        "yaml:9:7: shop.orders: there is no parameter 'colour': the declared ones are recordCount, currency",
        "yaml:10:43: shop.orders: classes are not fetched from a location",
        "yaml:11:17: shop.orders: 'nobody' is not an operator of shop",
        "yaml:13:5: shop.totals: there is no field 'replicas'",
        "yaml:14:37: shop.totals: 'replicationFactor' is a number of copies, 0 or more",
        "yaml:18:61: shop.totals.orders: parameter 'maxRecordBytes' wants usize",
        "yaml:19:9: shop.totals: files::shop::Totals has no port or plugin 'nothing': it has orders, priced",
        "yaml:22:30: shop.totals: 'order' is not an operator of it: there are orders, totals",
        "yaml:24:54: shop.totals: orders has no output port 'price': it has orders",
        "yaml:25:22: shop.totals: totals has no input port 'totals': it has orders, priced",
        "yaml:27:7: shop.totals: 'source' is missing",
    ];
    for line in expected {
        assert!(
            said.iter().any(|said| said.starts_with(line)),
            "no '{line}' in {said:#?}"
        );
    }
    assert!(
        said.len() <= expected.len() + 2,
        "follow-ups were said: {said:#?}"
    );
}

/// YAML, the place of its problem, and what is said there.
const MEANINGLESS: [(&str, &str, &str); 14] = [
    (
        "name: a\nname: b\n",
        "yaml:2:1",
        "'name' stands here twice, first in line 1",
    ),
    ("name: [a, b\n", "yaml:1:7", "not YAML: unclosed bracket '['"),
    ("", "yaml:1:1", "empty"),
    ("[]", "yaml:1:1", "a pipeline is a mapping, not a list"),
    ("name: a\n---\nname: b\n", "yaml:2:1", "a second document"),
    ("name: 7\n", "yaml:1:7", "'name' is a text, not a number"),
    ("spec: {}\n", "yaml:1:1", "'name' is missing"),
    (
        "name: a\nparameters: {x: yes}\n",
        "yaml:2:17",
        "a boolean to YAML 1.1",
    ),
    (
        "name: a\nparameters: {x: !!set {a}}\n",
        "yaml:2:",
        "tags are not known here: write a list",
    ),
    (
        "name: a\nparameters: {x: !!python/name:os.system ''}\n",
        "yaml:2:",
        "tags are not known here",
    ),
    (
        "name: a\nparameters: {1: x}\n",
        "yaml:2:14",
        "a key must be a text",
    ),
    (
        "a: &a {x: 1}\nname: x\nparameters: {<<: *a}\n",
        "yaml:3:14",
        "a merge key",
    ),
    (
        "name: a\nparameters: &p {x: *p}\n",
        "yaml:2:20",
        "an alias inside of what it stands for",
    ),
    ("name: a\nparameters: {x: *nowhere}\n", "yaml:2:17", "not YAML"),
];

#[test]
fn what_no_parser_could_mean_is_refused_where_it_stands() {
    for (yaml, place, part) in MEANINGLESS {
        let said = problems(yaml);
        assert!(
            said.iter()
                .any(|line| line.starts_with(place) && line.contains(part)),
            "{yaml:?}: no '{place}: {part}' in {said:#?}"
        );
    }
}

#[test]
fn what_is_not_json_is_refused_where_it_stands() {
    for (json, place, part) in [
        (
            "{\"name\": \"a\", \"name\": \"b\"}",
            "json:1:15",
            "'name' stands here twice",
        ),
        (
            "{\n \"näme\": 1, \"x\" 1}",
            "json:2:17",
            "':' is missing behind the key",
        ),
        ("{\"name\": 01}", "json:1:10", "a number that is none"),
        (
            "{\"name\": \"a\nb\"}",
            "json:1:10",
            "an escape or a sign that JSON forbids",
        ),
        ("{\"name\": \"a", "json:1:10", "the quote is never closed"),
        ("{\"name\": \"a\"} x", "json:1:15", "something follows"),
        ("{\"name\": tru}", "json:1:10", "no value begins like this"),
        ("", "json:1:1", "the file ends"),
    ] {
        let said = Pipeline::from_json(json).unwrap_err().problems;
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        assert!(
            said.iter()
                .any(|line| line.starts_with(place) && line.contains(part)),
            "{json:?}: no '{place}: {part}' in {said:#?}"
        );
    }
}

#[test]
fn an_alias_is_what_it_stands_for() {
    let yaml = "name: p\nspec:\n  nestedInstances:\n  - name: orders\n    spec: &s {name: 'shop:Orders'}\n    \
                parameters: &p {recordCount: 3}\n  - {name: more, spec: *s, parameters: *p}\n";
    let described = Pipeline::from_yaml(yaml).unwrap().describe();
    assert!(described.contains("operator more: Orders"), "{described}");
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes.yaml");
    let error = Pipeline::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("bytes.yaml: pipeline: cannot be read"), "{error}");
    std::fs::write(&path, b"name: \xff\n").unwrap();
    let error = Pipeline::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("not UTF-8 from its byte 7 on"), "{error}");
}

#[test]
fn names_and_keys_of_anybody_show_no_control_character_and_no_value() {
    let yaml = "name: \"a\\e[31m\"\n\"b\\e[0m\\n\": \"hunter2\"\nspec:\n  name: \"x\\n\"\n  nestedInstances:\n  \
                - name: \"../c\\n\"\n    parameters: {\"d\\e\": \"hunter2\", recordCount: \"hunter2\"}\n    spec: {name: 'shop:Orders'}\n";
    let said = problems(yaml);
    assert!(said.len() >= 4, "{said:#?}");
    for line in said {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_sequential_input_in_memory_is_refused_because_its_writers_could_not_finish() {
    let yaml = "name: p\nspec:\n  nestedInstances:\n  - {name: orders, parameters: {recordCount: 3}, spec: {name: 'shop:Orders'}}\n  \
                - name: prices\n    spec:\n      name: shop:Prices\n      nestedInstances:\n      \
                - {name: orders, parameters: {sequentialModeEnabled: true, syncConnectionsOpen: true}}\n    \
                connections:\n    - {inputPortName: orders, source: {instanceName: orders, outputPortName: orders}}\n  \
                - name: totals\n    spec: {name: 'shop:Totals'}\n    connections:\n    \
                - {inputPortName: orders, source: {instanceName: orders, outputPortName: orders}}\n    \
                - {inputPortName: priced, source: {instanceName: prices, outputPortName: priced}}\n";
    let error = Pipeline::from_yaml(yaml)
        .unwrap()
        .validate()
        .unwrap_err()
        .to_string();
    let said = "p.prices.orders: sequentialModeEnabled: memory:// holds no more than bufferBytes";
    assert!(error.contains(said), "{error}");
}
