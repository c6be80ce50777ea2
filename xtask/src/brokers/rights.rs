//! Rights on Kafka, granted in its own protocol: the jars that a broker needs have no tool for it.

use std::io::{Read, Write};

use anyhow::{Result, bail};

use super::connect;

/// What a right is about, as Kafka numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    Topics = 2,
    Groups = 3,
}

/// What a right allows, as Kafka numbers it. To read, write or delete is to describe, too.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
}

/// Allows a user something on all topics or groups whose names begin with `prefix`.
pub(super) fn grant(port: u16, user: &str, prefix: &str, rights: &[(Resource, Operation)]) -> Result<()> {
    const CREATE_ACLS: i16 = 30;
    const PREFIXED: u8 = 4;
    const ALLOW: u8 = 3;
    let mut request = Vec::new();
    request.extend(CREATE_ACLS.to_be_bytes());
    request.extend(1_i16.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    text(&mut request, "xtask");
    request.extend((rights.len() as u32).to_be_bytes());
    for (resource, operation) in rights {
        request.push(*resource as u8);
        text(&mut request, prefix);
        request.push(PREFIXED);
        text(&mut request, &format!("User:{user}"));
        text(&mut request, "*");
        request.extend([*operation as u8, ALLOW]);
    }
    let mut stream = connect(port)?;
    stream.write_all(&(request.len() as u32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    // Correlation, throttle time, how many, then for each a code and a text, which is null where all is well.
    match answer.get(12..14) {
        Some([0, 0]) => Ok(()),
        code => bail!("Kafka grants no rights: {code:?}"),
    }
}

fn text(request: &mut Vec<u8>, text: &str) {
    request.extend((text.len() as u16).to_be_bytes());
    request.extend(text.as_bytes());
}
