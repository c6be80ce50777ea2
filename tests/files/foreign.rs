//! Operators of a file that no Rust type stands for.

use pypz::{ExitStatus, Pipeline};

use crate::problems;

const HALF: &str = "
name: half
parameters: {'>>channelLocation': 'kafka://localhost:9092'}
spec:
  nestedInstances:
  - name: orders
    parameters: {recordCount: 3}
    spec: {name: 'shop:Orders'}
  - name: audit
    parameters: {replicationFactor: 2, verbose: true}
    spec: {name: 'audit:Audit'}
    connections:
    - inputPortName: seen
      source: {instanceName: orders, outputPortName: orders}
";

#[test]
fn an_operator_without_a_rust_type_counts_with_its_replicas_and_is_said() {
    let described = Pipeline::from_yaml(HALF).unwrap().describe();
    for line in [
        "1 of its 2 operators are somebody else's: to run it is to run the others",
        "operator orders: Orders",
        "operator audit x 3: somebody else's, no Rust type is registered as 'audit:Audit'",
        "input seen",
        "half.orders.orders -> half.audit.seen",
    ] {
        assert!(described.contains(line), "{described} lacks {line}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn a_file_with_operators_of_others_is_valid_and_its_parameters_for_them_are_not_ours_to_judge() {
    assert_eq!(problems(HALF), Vec::<String>::new());
}

#[test]
fn memory_does_not_reach_operators_of_others() {
    let memory = HALF.replace("kafka://localhost:9092", "memory://");
    let said = problems(&memory).join("\n");
    assert!(said.contains("memory:// does not leave the process"), "{said}");
}

#[tokio::test]
async fn operators_of_others_are_not_run_by_name_nor_alone() {
    let mut half = Pipeline::from_yaml(HALF).unwrap();
    let error = half.execute_only(["audit"]).await.unwrap_err();
    assert_eq!(error.status, ExitStatus::Configuration);
    assert!(
        error.cause.contains("'audit' is somebody else's"),
        "{}",
        error.cause
    );

    let alone = "{name: p, spec: {nestedInstances: [{name: a, spec: {name: 'audit:Audit'}}]}}";
    let mut alone = Pipeline::from_yaml(alone).unwrap();
    alone.validate().unwrap();
    let error = alone.execute().await.unwrap_err();
    assert_eq!(error.status, ExitStatus::Configuration);
    assert!(
        error.cause.contains("nothing of it is ours to run"),
        "{}",
        error.cause
    );
}
