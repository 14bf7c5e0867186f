//! The laws of a store: rules of the commands, identities, sessions, idempotency, events, stamps, lists and posts against
//! the pull truth, channels and tuning, read tables, upkeep, import.

mod channels;
mod commands;
mod events;
mod idempotency;
mod identities;
mod import;
mod random;
mod sessions;
mod stamps;
mod together;
mod upkeep;
mod world;

use std::sync::Arc;

use super::laws;
use crate::ports::Store;

pub use random::{matches_truth, outlives_restarts};
pub use sessions::each_token_is_good_once_and_gives_the_next;

/// Holds a store against every law of the port. `make` gives fresh, empty stores.
///
/// # Panics
/// When it breaks one; the message names them.
pub async fn run(make: impl AsyncFn() -> Arc<dyn Store>) {
    laws!(
        "store",
        make,
        commands::users_are_made_once_and_found,
        commands::all_users_are_told_once_in_any_pages,
        commands::posts_are_written_read_and_removed,
        commands::a_post_is_removed_by_its_author_only,
        commands::likes_count_once,
        commands::follows_reach_both_lists_once,
        commands::nobody_turns_against_themselves,
        commands::a_limit_stops_new_follows_only,
        commands::a_block_ends_both_follows_and_forbids_new_ones,
        commands::to_the_blocked_the_blocker_is_absent,
        commands::ending_what_never_was_is_fine,
        commands::an_authors_ids_rise,
        commands::pages_of_posts_join_without_gap_or_repetition,
        identities::an_identity_is_one_user_from_its_first_sight,
        identities::a_handle_that_is_taken_gives_way_to_the_next,
        identities::an_identity_is_linked_to_one_user_at_the_most,
        identities::first_sights_at_the_same_time_make_one_user_of_each_identity,
        idempotency::a_key_commits_once_and_gives_its_outcome_again,
        idempotency::a_key_used_for_another_request_is_refused,
        idempotency::a_key_belongs_to_its_actor,
        idempotency::a_refused_command_leaves_its_key_free,
        idempotency::the_same_key_twice_at_the_same_time_commits_once,
        idempotency::a_settled_request_tells_its_outcome,
        idempotency::what_is_settled_as_never_may_be_tried_again,
        events::each_command_leaves_exactly_its_event,
        events::what_changes_nothing_leaves_no_event,
        events::numbers_have_no_gap_and_come_again_until_marked,
        events::events_are_read_again_from_anywhere,
        events::commands_at_the_same_time_are_numbered_without_a_gap,
        events::an_emitted_event_gets_the_next_number,
        events::a_history_keeps_its_epoch_before_its_own_witnesses_only,
        events::leases_run_out_or_are_given_up,
        stamps::a_follow_before_a_view_is_older_than_it_and_one_after_is_not,
        stamps::a_page_of_followers_lacks_only_follows_from_its_stamp_on,
        stamps::refollowing_makes_a_new_stamp_and_repeating_keeps_it,
        stamps::a_view_tells_when_the_timeline_grew_backwards,
        stamps::pages_of_followers_cover_every_follower_of_the_slots_once,
        stamps::views_never_miss_what_was_acknowledged_while_others_write,
        channels::a_new_store_has_the_default_tuning,
        channels::tuning_versions_are_kept_and_checked,
        channels::an_author_turns_hot_and_cools_down_with_hysteresis,
        channels::a_pin_outranks_the_followers,
        channels::measured_costs_are_added_up_by_all_and_known_to_later_posts,
        channels::by_cost_the_rate_of_posts_decides_once_costs_are_known,
        channels::a_post_keeps_its_channel_and_pull_authors_are_listed,
        sessions::each_token_is_good_once_and_gives_the_next,
        sessions::a_token_that_comes_again_ends_its_session_and_no_other,
        sessions::what_is_not_known_is_not_refreshed,
        sessions::an_operators_session_ends_when_it_was_to_end_as_it_began,
        sessions::an_ended_session_is_over,
        sessions::the_same_call_again_tells_what_became_of_the_first,
        sessions::of_many_who_spend_one_token_one_gets_its_next,
        sessions::a_user_has_a_bounded_number_of_sessions,
        sessions::the_bound_of_sessions_holds_for_many_at_once,
        sessions::sessions_that_have_ended_are_removed_and_others_kept,
        upkeep::checkpoints_are_kept_as_saved,
        upkeep::notes_are_kept_by_name,
        upkeep::those_who_ask_together_agree_on_one_note,
        upkeep::a_note_is_replaced_by_those_who_know_it,
        upkeep::old_keys_are_removed_and_young_ones_kept,
        upkeep::old_events_are_removed_and_the_rest_told,
        import::an_import_is_right_and_a_new_epoch,
        import::an_import_repeated_changes_nothing,
        import::an_imported_world_goes_on_living,
        import::long_lists_are_whole_in_any_pages,
        together::a_follow_and_a_block_of_one_pair_never_both_stand,
        together::likes_and_follows_all_count,
        together::posts_have_different_ids_though_they_share_a_millisecond,
        together::a_limit_of_follows_is_never_passed,
        random::two_thousand_random_commands_match_the_truth,
    );
}
