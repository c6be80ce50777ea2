//! Records whose schema is another one in a later run: a codec that writes an item in one of several forms.

use std::sync::OnceLock;

use apache_avro::AvroSchema;
use pypz_core::codec::{Avro, Codec, CodecError, Translation};
use serde::{Deserialize, Serialize};

use crate::item::Item;

/// The form of all records of this process.
static FORM: OnceLock<Form> = OnceLock::new();

/// The schema that an item travels with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// That of [`Item`].
    #[default]
    Usual,
    /// With one more field, which has a default.
    Added,
    /// With a text where [`Item`] has a number.
    Changed,
}

impl Form {
    /// Has every port that is made from now on use this form.
    pub(crate) fn choose(self) {
        FORM.get_or_init(|| self);
    }
}

/// [`Item`] with a field that older records do not have.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Item")]
struct Added {
    run: String,
    writer: String,
    epoch: i64,
    sequence: i64,
    via: i32,
    via_epoch: i64,
    payload: String,
    crc: i64,
    #[serde(default)]
    #[avro(default = "\"\"")]
    note: String,
}

/// [`Item`] whose sequence is a text.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Item")]
struct Changed {
    run: String,
    writer: String,
    epoch: i64,
    sequence: String,
    via: i32,
    via_epoch: i64,
    payload: String,
    crc: i64,
}

/// Encodes items in the form of the process.
#[derive(Debug)]
pub(crate) struct Formed {
    form: Form,
    avro: Avro,
}

impl Codec<Item> for Formed {
    fn new() -> Result<Self, CodecError> {
        let form = FORM.get().copied().unwrap_or_default();
        let avro = match form {
            Form::Usual => <Avro as Codec<Item>>::new(),
            Form::Added => <Avro as Codec<Added>>::new(),
            Form::Changed => <Avro as Codec<Changed>>::new(),
        };
        Ok(Self { form, avro: avro? })
    }

    fn encode(&mut self, value: &Item, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        let item = value.clone();
        match self.form {
            Form::Usual => self.avro.encode(value, buffer),
            Form::Added => {
                let added = Added {
                    run: item.run,
                    writer: item.writer,
                    epoch: item.epoch,
                    sequence: item.sequence,
                    via: item.via,
                    via_epoch: item.via_epoch,
                    payload: item.payload,
                    crc: item.crc,
                    note: "new".to_owned(),
                };
                self.avro.encode(&added, buffer)
            }
            Form::Changed => {
                let changed = Changed {
                    run: item.run,
                    writer: item.writer,
                    epoch: item.epoch,
                    sequence: item.sequence.to_string(),
                    via: item.via,
                    via_epoch: item.via_epoch,
                    payload: item.payload,
                    crc: item.crc,
                };
                self.avro.encode(&changed, buffer)
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<Item, CodecError> {
        match self.form {
            Form::Usual => self.avro.decode(bytes),
            Form::Added => {
                let added: Added = self.avro.decode(bytes)?;
                Ok(Item {
                    run: added.run,
                    writer: added.writer,
                    epoch: added.epoch,
                    sequence: added.sequence,
                    via: added.via,
                    via_epoch: added.via_epoch,
                    payload: added.payload,
                    crc: added.crc,
                })
            }
            Form::Changed => {
                let changed: Changed = self.avro.decode(bytes)?;
                let sequence = changed.sequence.parse();
                let sequence = sequence.map_err(|error| CodecError::decode("a sequence", error));
                Ok(Item {
                    run: changed.run,
                    writer: changed.writer,
                    epoch: changed.epoch,
                    sequence: sequence?,
                    via: changed.via,
                    via_epoch: changed.via_epoch,
                    payload: changed.payload,
                    crc: changed.crc,
                })
            }
        }
    }

    fn schema(&self) -> Option<String> {
        <Avro as Codec<Item>>::schema(&self.avro)
    }

    fn translation(from: &str, to: &str) -> Result<Option<Translation>, String> {
        <Avro as Codec<Item>>::translation(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(form: Form) -> Formed {
        let avro = match form {
            Form::Usual => <Avro as Codec<Item>>::new(),
            Form::Added => <Avro as Codec<Added>>::new(),
            Form::Changed => <Avro as Codec<Changed>>::new(),
        };
        Formed {
            form,
            avro: avro.unwrap(),
        }
    }

    #[test]
    fn every_form_has_a_schema_of_its_own_and_keeps_the_item() {
        let item = Item::new("run", "a@0", 1, 7, 20);
        let mut schemas = std::collections::BTreeSet::new();
        for form in [Form::Usual, Form::Added, Form::Changed] {
            let (mut codec, mut bytes) = (codec(form), Vec::new());
            codec.encode(&item, &mut bytes).unwrap();
            assert_eq!(codec.decode(&bytes).unwrap(), item, "{form:?}");
            schemas.insert(codec.schema());
        }
        assert_eq!(schemas.len(), 3);
    }
}
