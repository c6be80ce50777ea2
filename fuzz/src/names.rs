//! Names of instances, and locations.

use pypz::channel::Location;
use pypz::name::InstanceName;
use pypz_rabbitmq_io::fuzzing::location_problem;

use crate::{Verdict, must_be_plain};

/// Takes a text for a name and for a location.
pub fn names(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Verdict::Refused;
    };
    let name = InstanceName::parse(text);
    match &name {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(InstanceName::parse(&name.replica(0)).as_ref(), Ok(name));
            must_be_plain(&name.replica(u32::MAX));
        }
        Err(error) => must_be_plain(&error.to_string()),
    }
    let location = Location::parse(text);
    match &location {
        Ok(location) => {
            let written = format!("{}://{}", location.scheme(), location.address());
            assert_eq!(Location::parse(&written).as_ref(), Ok(location));
            must_be_plain(&format!("{location} {location:?}"));
            if let Some(problem) = location_problem(location) {
                must_be_plain(&problem);
            }
        }
        Err(error) => must_be_plain(&error.to_string()),
    }
    if name.is_ok() || location.is_ok() {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}
