//! What is acknowledged, and what comes again.

use super::*;
use lapin::protocol::BasicProperties;

fn message(tag: u64, id: &str) -> Delivery {
    let mut delivery = Delivery::mock(tag, "".into(), "".into(), false, vec![1]);
    delivery.properties = BasicProperties::default().with_message_id(id.into());
    delivery
}

#[test]
fn only_what_is_processed_is_acknowledged_and_many_at_once() {
    let mut state = State::default();
    for tag in 1..=4 {
        state.push(message(tag, &tag.to_string()));
    }
    assert_eq!(state.due(), (None, 0));
    state.noted = 3;
    assert_eq!(state.due(), (Some(Acknowledge::UpTo(3)), 3));
    assert_eq!(state.in_hand(), 1);
}

#[test]
fn what_comes_again_after_a_lost_connection_is_not_given_out_twice() {
    let mut state = State::default();
    for (tag, id) in [(1, "a"), (2, "b"), (3, "c")] {
        state.push(message(tag, id));
    }
    // Two are given out, the third was not, and comes again as a new one.
    (0..2).for_each(|_| drop(state.pop()));
    state.reconnected();
    assert_eq!((state.received, state.waiting(), state.in_hand()), (2, 0, 2));
    // In the order of the tags, whoever brings them.
    for (tag, id) in [(3, "x"), (1, "c"), (2, "b")] {
        state.push(message(tag, id));
    }
    assert_eq!((state.received, state.waiting()), (4, 2));
    // "b" has a greater tag than "c", which is not processed.
    state.noted = 2;
    assert_eq!(state.due(), (Some(Acknowledge::Each(vec![2])), 2));
    state.noted = 4;
    assert_eq!(state.due(), (Some(Acknowledge::UpTo(3)), 4));
    // "a" was processed and comes late: nobody is to see it again.
    state.push(message(4, "a"));
    assert_eq!((state.received, state.waiting()), (4, 2));
    assert_eq!(state.due(), (Some(Acknowledge::UpTo(4)), 4));
}

#[test]
fn an_empty_pack_and_a_form_of_tomorrow_are_malformed() {
    for (tag, content) in [(1, PACK), (2, "application/vnd.pypz.pack.2")] {
        let mut state = State {
            last_tag: tag - 1,
            ..State::default()
        };
        let mut delivery = message(tag, "a");
        delivery.data = Vec::new();
        delivery.properties = delivery.properties.with_content_type(content.into());
        state.push(delivery);
        assert_eq!(state.pop().unwrap().form, Form::Malformed);
    }
}
