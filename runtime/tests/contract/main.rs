//! What every backend of the runtime must do, run against each: uring on the real machine, sim under several seeds.
//!
//! Of the faults, both backends can make one: a full disk (uring: a small tmpfs, if the machine lets us mount one).
//! Power cuts, failing and lying disks, slow ones and rot are made by sim alone, see `tests/faults.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it panics on errors and looks at the machine directly"
)]

mod channels;
mod directories;
mod files;
mod full_disk;
mod harness;
mod net;
mod net_ends;
mod tasks;
mod threads;
mod timers;
mod watching;

/// Every test of the suite, once a backend.
macro_rules! contract {
    ($($module:ident { $($test:ident)* })*) => {
        mod uring {
            $($(
                #[test]
                fn $test() {
                    crate::harness::on_uring(stringify!($test), crate::$module::$test);
                }
            )*)*
        }
        mod sim {
            $($(
                #[test]
                fn $test() {
                    crate::harness::on_sim(crate::$module::$test);
                }
            )*)*
        }
    };
}

/// The same for tests that need a disk of a few blocks, which a test may fill up.
mod small_disk {
    #[test]
    fn uring() {
        crate::harness::on_small_uring(
            crate::full_disk::BYTES,
            crate::full_disk::fills_up_and_is_freed,
        );
    }

    #[test]
    fn sim() {
        crate::harness::on_small_sim(
            crate::full_disk::BYTES,
            crate::full_disk::fills_up_and_is_freed,
        );
    }
}

/// The same for what plain threads do.
mod thread {
    #[test]
    fn uring() {
        crate::threads::a_thread_blocks_until_its_future_is_done();
    }

    #[test]
    fn sim() {
        crate::harness::on_sim_thread(crate::threads::a_thread_blocks_until_its_future_is_done);
    }
}

contract! {
    files {
        open_modes_and_their_errors
        written_blocks_are_read_back
        blocks_are_written_and_flushed_in_one_step
        several_pieces_are_read_at_once
        unaligned_reads
        reads_at_the_end
        allocate_reads_zero
        truncate_cuts_and_extends
        large_write_and_read
        read_only_refuses_writes
        writes_overlap_in_any_order
        buffers_are_aligned_and_zero
        slices_share_the_buffer
        a_dropped_write_leaves_the_file_usable
        removed_files_stay_open
        dsync_files_are_written_and_read
    }
    directories {
        create_list_and_exists
        rename_replaces
        missing_names_are_errors
        space_is_plausible
        lock_conflicts_and_is_released
    }
    net {
        echo
        large_transfer_both_ways
        back_pressure
        many_connections
        port_in_use_names_the_port
        listener_port_is_free_after_drop
        resolve_addresses_and_names
        foreign_address_is_refused
    }
    net_ends {
        half_close
        readable_tells_of_bytes_and_of_the_end
        refused
        reset_by_zero_linger
        end_by_plain_close
        reset_when_unread
        write_to_a_closed_peer_fails
        accept_is_cancel_safe
        read_is_cancel_safe
        dropped_listener_resets_the_unaccepted
    }
    timers {
        sleep_takes_at_least_its_time
        timeouts
        sleepers_wake_in_order
        clocks_move_forward
        yields_let_io_and_timers_through
    }
    tasks {
        spawn_returns_the_output
        spawned_tasks_start_after_the_caller_suspends
        dropped_tasks_are_cancelled
        detached_tasks_run_on
        an_executor_ends_with_its_tasks
        a_task_may_cancel_itself
        random_numbers
        panics_do_not_give_a_result
    }
    channels {
        oneshot_values_and_closing
        mpsc_is_bounded_and_ordered
        mpsc_closing
        mpsc_waiting_senders_take_turns
        notify
        flag
        mailbox_across_executors
        mailbox_is_bounded_and_closes
        promises
    }
    watching {
        a_watched_value_is_seen_once
        a_change_wakes_all_who_watch
        a_watch_closes_with_its_last_sender
        weak_senders_do_not_keep_a_queue_open
    }
}
