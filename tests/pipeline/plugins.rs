//! Plugins of an operator, and in which order they are called.

use std::sync::Mutex;

use pypz::plugin::{Extended, Plugin, Service};
use pypz::prelude::*;

/// Notes when it was called.
#[derive(PluginSpec, Default)]
struct Noted {
    #[parameter]
    label: String,
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Noted {
    fn note(&self, what: &str) {
        NOTES.lock().unwrap().push(format!("{} {what}", self.label));
    }
}

#[async_trait::async_trait]
impl Service for Noted {
    async fn start(&mut self) -> Result<()> {
        self.note("starts");
        Ok(())
    }

    async fn shut_down(&mut self) -> Result<()> {
        self.note("ends");
        Ok(())
    }
}

#[async_trait::async_trait]
impl Extended for Noted {
    async fn before_execution(&mut self) -> Result<()> {
        self.note("before");
        Ok(())
    }

    async fn after_execution(&mut self) -> Result<()> {
        self.note("after");
        Ok(())
    }
}

impl Plugin for Noted {
    fn as_service(&mut self) -> Option<&mut dyn Service> {
        Some(self)
    }

    fn as_extended(&mut self) -> Option<&mut dyn Extended> {
        Some(self)
    }
}

#[derive(OperatorSpec, Default)]
struct Lonely {
    #[plugin(depends_on = ["database"])]
    web: Noted,
    #[plugin]
    database: Noted,
}

impl Operator for Lonely {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.web.note("serves");
        Ok(Progress::Done)
    }
}

#[tokio::test]
async fn plugins_start_after_those_they_depend_on_and_end_before_them() {
    let mut pipeline = Pipeline::new("plugged");
    pipeline.operator::<Lonely>("lonely");
    pipeline
        .set_parameter("lonely.web.label", "web")
        .set_parameter("lonely.database.label", "database");
    pipeline.execute().await.unwrap();
    let expected = [
        "database starts",
        "web starts",
        "database before",
        "web before",
        "web serves",
        "web after",
        "database after",
        "web ends",
        "database ends",
    ];
    assert_eq!(*NOTES.lock().unwrap(), expected);
}
