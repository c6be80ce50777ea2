//! The lists of cases, as macros that make a test of each.

/// Makes a test of every case, for a durable [`Site`](crate::conformance::Site).
#[macro_export]
macro_rules! conformance {
    ($site:expr) => {
        $crate::conformance_everywhere!($site);
        $crate::conformance_across_processes!($site);
    };
}

/// Makes a test of every case that runs its pipeline as one execution, for any [`Site`](crate::conformance::Site).
#[macro_export]
macro_rules! conformance_everywhere {
    ($site:expr) => {
        $crate::conformance_cases! { $site =>
            acknowledging::writers_go_on_when_what_they_sent_is_processed;
            acknowledging::every_replica_of_a_broadcast_has_to_acknowledge;
            acknowledging::what_was_only_read_is_not_acknowledged;
            acknowledging::a_reader_that_never_acknowledges_is_named;
            distribution::round_robin_gives_every_record_to_one_replica;
            distribution::few_records_are_shared_evenly_or_taken_by_whoever_is_free;
            distribution::records_of_a_key_go_to_one_replica_in_order;
            distribution::a_broadcast_gives_every_record_to_every_replica_in_order;
            distribution::an_output_with_two_inputs_gives_each_every_record;
            distribution::an_input_with_two_outputs_gets_every_record_of_both;
            distribution::a_broadcast_of_two_outputs_reaches_every_replica;
            ending::a_run_without_records_ends;
            ending::a_run_of_one_record_ends;
            ending::a_run_of_999_records_ends;
            ending::a_run_of_10000_records_ends;
            ending::a_writer_that_is_silent_for_longer_than_the_patience_is_not_at_its_end;
            ending::a_chain_ends_after_its_last_writer;
            ending::a_second_run_of_the_same_name_begins_anew;
            ending::a_run_that_deletes_nothing_leaves_nothing_to_the_next;
            ending::a_drain_ends_with_143_and_loses_nothing_that_cannot_be_read_again;
            failing::a_failure_is_the_runs_with_its_words;
            limits::a_fast_writer_waits_for_a_slow_reader_and_nothing_is_lost;
            limits::a_record_as_long_as_the_limit_passes_and_a_byte_more_is_refused;
            readiness::nothing_is_sent_before_the_last_reader_is_positioned;
        }
    };
}

/// Makes a test of every case that runs parts of a pipeline as executions or processes of their own, for a durable
/// [`Site`](crate::conformance::Site).
#[macro_export]
macro_rules! conformance_across_processes {
    ($site:expr) => {
        $crate::conformance_cases! { $site =>
            ending::a_sequential_input_begins_when_its_writers_have_finished;
            ending::an_end_that_was_reached_moves_when_a_writer_comes_back;
            ending::what_a_closed_reader_had_in_hand_is_read_by_the_next;
            acknowledging::what_a_killed_replica_had_in_hand_is_acknowledged_by_another;
            readiness::a_replica_that_comes_late_gets_its_share;
            readiness::a_broadcast_waits_for_a_replica_that_comes_late;
            readiness::a_writer_that_comes_first_waits_for_its_readers;
            failing::readers_of_a_failed_writer_read_what_it_sent_then_fail_with_its_words;
            failing::a_killed_writer_is_lost_by_name_and_what_it_sent_is_kept;
            failing::a_writer_that_never_comes_is_a_deadline_by_name;
            failing::of_two_executions_of_one_replica_one_is_refused;
            failing::a_record_that_does_not_decode_is_named_by_its_place;
            failing::a_record_that_does_not_decode_is_left_out_where_that_is_the_policy;
            failing::a_run_that_poison_stopped_goes_on_with_dead_letters;
            limits::a_reader_that_stands_still_keeps_its_process_small;
            restarting::a_writer_that_is_killed_and_comes_back_leaves_nothing_missing;
            restarting::a_replica_that_is_killed_and_comes_back_leaves_nothing_missing;
            restarting::a_replica_that_is_frozen_and_replaced_leaves_nothing_missing;
            restarting::a_principal_that_is_killed_and_comes_back_leaves_nothing_missing;
            restarting::a_broadcast_replica_that_is_killed_and_comes_back_misses_nothing;
            restarting::a_pipeline_that_is_killed_as_a_whole_goes_on;
            restarting::a_drained_pipeline_goes_on;
            restarting::a_process_that_is_told_to_end_drains_and_comes_back;
            restarting::a_fresh_start_gives_up_what_was_unread;
            restarting::a_record_that_comes_again_has_its_id_again;
            restarting::a_run_goes_on_with_another_schema_if_the_records_can_be_read;
            hostile::status_that_nobody_can_mean_is_not_heard;
            starts::many_starts_in_any_order_all_end;
        }
    };
}

/// Makes a test of every case of transactions, for a durable [`Site`](crate::conformance::Site) that has them.
#[macro_export]
macro_rules! conformance_exactly_once {
    ($site:expr) => {
        $crate::conformance_cases! { $site =>
            exactly::a_pipeline_in_one_process_gives_every_record_once_in_order;
            exactly::a_broadcast_and_an_operator_with_two_outputs_give_every_record_once;
            exactly::a_relay_that_is_killed_again_and_again_doubles_nothing;
            exactly::a_source_that_is_killed_goes_on_where_it_was;
            exactly::replicas_that_move_to_other_processes_double_nothing;
            exactly::a_relay_that_was_frozen_and_replaced_doubles_nothing;
            exactly::a_relay_that_fails_has_not_sent_what_it_had_not_finished;
            exactly::a_drained_relay_goes_on_and_doubles_nothing;
            exactly::a_call_that_does_not_return_is_begun_again_in_the_same_process;
        }
    };
}

/// Makes a test of each case that is named. What the lists expand to.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($site:expr => $($module:ident::$case:ident;)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::run($site, module_path!(), stringify!($case), |site| {
                ::std::boxed::Box::pin($crate::conformance::cases::$module::$case(site))
            });
        }
    )*};
}
