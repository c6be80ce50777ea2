//! The Rust side of the golden files: a shop whose orders are priced and summed up.

use std::collections::HashMap;
use std::sync::Mutex;

use pypz::plugin::Plugin;
use pypz::prelude::*;

use crate::golden;

#[derive(OperatorSpec, Default)]
#[operator(spec = "shop:Orders")]
struct Orders {
    orders: OutputPort<String>,
    #[parameter(required, name = "recordCount")]
    record_count: u64,
    #[parameter]
    currency: String,
}

impl Operator for Orders {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let orders = (0..self.record_count).map(|n| format!("{n} {}", self.currency));
        self.orders.send_all(orders.collect::<Vec<_>>()).await?;
        Ok(Progress::Done)
    }
}

#[derive(PluginSpec, Default)]
struct Cache {
    #[parameter]
    size: usize,
}

impl Plugin for Cache {}

#[derive(OperatorSpec, Default)]
#[operator(spec = "shop:Prices")]
struct Prices {
    orders: InputPort<String>,
    priced: OutputPort<String>,
    #[parameter]
    rates: HashMap<String, f64>,
    #[plugin]
    cache: Cache,
    #[plugin(depends_on = ["cache"])]
    warmer: Cache,
}

impl Operator for Prices {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::ensure!(
            self.rates["JPY"] == 160.0 && self.cache.size == 16 && self.warmer.size == 16,
            "the parameters did not arrive"
        );
        let orders = self.orders.retrieve().await?;
        self.priced
            .send_all(orders.into_iter().collect::<Vec<_>>())
            .await?;
        Ok(Progress::UntilInputsEnd)
    }
}

#[derive(OperatorSpec, Default)]
#[operator(spec = "shop:Totals")]
struct Totals {
    orders: InputPort<String>,
    priced: InputPort<String>,
    seen: (Vec<String>, Vec<String>),
}

static TOTALS: Mutex<Vec<(Vec<String>, Vec<String>)>> = Mutex::new(Vec::new());

impl Operator for Totals {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.seen.0.extend(self.orders.retrieve().await?);
        self.seen.1.extend(self.priced.retrieve().await?);
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        self.seen.0.sort();
        self.seen.1.sort();
        TOTALS.lock().unwrap().push(std::mem::take(&mut self.seen));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_pypz_wrote_load_and_run() {
    for name in ["shop.yaml", "shop.json"] {
        let mut shop = Pipeline::from_file(golden(name)).unwrap();
        let described = shop.describe();
        assert!(described.contains("operator prices x 3: Prices"), "{described}");
        shop.relocate("memory://");
        shop.validate().unwrap();
        shop.execute().await.unwrap();
        let totals = std::mem::take(&mut *TOTALS.lock().unwrap());
        let mut orders: Vec<String> = (0..30).map(|n| format!("{n} EUR")).collect();
        orders.sort();
        assert_eq!(totals, [(orders.clone(), orders)], "{name}");
    }
}

#[test]
fn yaml_and_json_of_one_pipeline_are_the_same_pipeline() {
    let [yaml, json] = ["shop.yaml", "shop.json"].map(|name| Pipeline::from_file(golden(name)).unwrap());
    assert_eq!(yaml.describe(), json.describe());
    let sorted = |pipeline: &Pipeline| {
        let text = pipeline.to_yaml().unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // pypz writes base classes in the order of a set.
        lines.sort();
        lines
    };
    assert_eq!(sorted(&yaml), sorted(&json));
}

#[cfg(feature = "kafka")]
#[test]
fn a_location_without_a_scheme_is_that_of_the_ports_class() {
    let mut shop = Pipeline::from_file(golden("shop.yaml")).unwrap();
    shop.validate().unwrap();
    shop.set_parameter("orders.orders.channelLocation", "localhost:9093");
    let error = shop.validate().unwrap_err().to_string();
    assert!(
        error.contains("kafka://localhost:9093 differs from kafka://localhost:9092"),
        "{error}"
    );
    let written = Pipeline::from_file(golden("shop.yaml"))
        .unwrap()
        .to_yaml()
        .unwrap();
    assert!(written.contains("channelLocation: localhost:9092\n"), "{written}");
}
