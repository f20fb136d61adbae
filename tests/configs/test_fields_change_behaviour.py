"""Every field of every settings model changes behaviour: for each the test that shows what. No entry without one that
fails where the field is ignored."""

import ast
import re
from functools import cache

import pytest

from configs.schema import Profile
from configs.settings import Settings
from tests.places import ROOT

COMPRESSION, COMPRESSION_PHASE = "tests/tasks/compression/test_settings.py", "tests/flows/test_compression_settings.py"
MODIFIERS, PHASES, ROUTING = (
    "tests/tasks/modifiers/test_settings.py",
    "tests/flows/test_modifiers_and_routing.py",
    "tests/tasks/routing/test_settings.py",
)
DATA, FILTERS, DATASET = (
    "tests/tasks/data/test_settings.py",
    "tests/tasks/data/clean/test_filters.py",
    "tests/tasks/data/test_dataset.py",
)
TRAINING, SFT, ANIL, MERGE = (
    f"tests/tasks/training/{name}.py" for name in ("test_settings", "test_sft", "meta/test_anil", "test_merge")
)
EVALUATION, EVALUATE = "tests/tasks/evaluation/test_settings.py", "tests/tasks/evaluation/test_evaluate.py"
ENGINES = "tests/tasks/evaluation/test_engines.py"
TEACHERS, RELEASE, PROFILE = (
    "tests/blocks/teachers/test_fields.py",
    "tests/tasks/release/test_settings.py",
    "tests/flows/test_profile.py",
)
EXTRACTED = f"{FILTERS}::test_every_field_of_a_filter_changes_what_it_says"
SWITCHED = f"{FILTERS}::test_each_filter_rejects_its_own_kind_and_can_be_switched_off"

# Model → test → the fields whose effect it shows.
SHOWN: dict[str, dict[str, str]] = {
    # configs/schema.py
    "Profile": {
        f"{PROFILE}::test_a_night_refuses_a_release_of_a_profile_of_another_name": "name",
        f"{PROFILE}::test_a_run_begins_with_the_profiles_description": "description",
        f"{PROFILE}::test_evaluation_and_seed_are_the_held_out_questions_of_every_phase": "evaluation seed",
        f"{PROFILE}::test_each_phase_goes_to_the_pool_that_pools_names": "pools",
        f"{PROFILE}::test_approval_and_teachers_decide_whether_a_run_that_may_spend_goes_on": "approval teachers",
        f"{DATA}::test_every_section_of_the_data_reaches_its_step": "data",
        "tests/flows/test_training_settings.py::test_every_section_reaches_its_step": "training",
        f"{COMPRESSION_PHASE}::test_every_section_reaches_its_steps": "compression",
        f"{PHASES}::test_every_section_of_the_modifiers_reaches_its_step": "modifiers",
        f"{PHASES}::test_every_section_of_the_routing_reaches_its_step": "routing",
        f"{PHASES}::test_the_nights_gate_compares_with_the_settings": "nightly release",
    },
    "Pools": {f"{PROFILE}::test_each_phase_goes_to_the_pool_that_pools_names": "dataset training compression modifiers "
    "routing release"},
    # configs/phases/teachers.py
    "Prices": {f"{TEACHERS}::test_every_price_counts": "input cached cache_write output batch"},
    "TeacherModel": {
        "tests/blocks/teachers/test_providers.py::test_what_is_sent_and_read": "provider model options",
        "tests/blocks/teachers/test_providers.py::test_a_model_that_refuses_a_temperature_gets_none": "temperature",
        "tests/blocks/teachers/test_prefect.py::test_a_block_holds_key_model_prices_and_limits": "block",
        "tests/blocks/teachers/calling/test_ask.py::test_rate_limits_hold_over_processes": "requests_per_minute",
        "tests/blocks/teachers/calling/test_ask.py::test_a_slow_answer_is_a_lost_one": "timeout_s",
        f"{TEACHERS}::test_the_base_url_is_where_it_is_asked": "base_url",
        f"{TEACHERS}::test_the_key_is_that_of_key_env": "key_env",
        f"{TEACHERS}::test_the_prices_of_a_teacher_are_what_a_call_costs": "prices",
        f"{TEACHERS}::test_tokens_per_minute_space_the_calls": "tokens_per_minute",
        f"{TEACHERS}::test_max_retries_decide_when_the_next_teacher_is_asked": "max_retries",
        f"{TEACHERS}::test_batch_decides_whether_calls_go_through_the_batch_api": "batch",
        "tests/blocks/teachers/calling/test_repeats.py::test_a_killed_call_is_billed_once_where_the_provider_honours_its_idempotency_key": "idempotent_s",  # noqa: E501
    },
    "Teachers": {
        f"{TEACHERS}::test_account_and_cap_dollars_are_what_is_charged": "account cap_dollars",
        f"{TEACHERS}::test_the_journal_is_where_the_settings_say": "journal",
        f"{TEACHERS}::test_as_many_calls_are_in_flight_as_concurrency_says": "concurrency",
        "tests/blocks/teachers/test_prefect.py::test_prefects_limits_hold_and_a_missing_one_is_an_error": "limiter",
        f"{TEACHERS}::test_batch_poll_s_is_the_pause_between_looks": "batch_poll_s",
        f"{TEACHERS}::test_roles_name_who_is_asked_and_models_who_that_is": "models roles",
    },
    # configs/phases/data.py
    "Data": {
        f"{DATA}::test_every_section_of_the_data_reaches_its_step": "planning writing validating answering judging "
        "collecting filters decontamination "
        "near_duplicates balancing "
        "splitting verification",
        f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "source",
        f"{DATA}::test_the_tokenizer_counts_an_examples_tokens": "tokenizer",
    },
    "Planning": {f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "examples hard_share "
    "easy_oversample hard_oversample "
    "domains"},
    "DomainPlan": {f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "share task_type topics"},
    "Writing": {
        f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "batch temperature max_tokens",
        f"{DATASET}::test_questions_are_distinct_and_repeated_ones_were_made_up_for": "rounds",
        f"{DATA}::test_attempts_ask_malformed_answers_again": "attempts",
    },
    "Validating": {
        f"{DATA}::test_a_field_of_the_validating_changes_what_stays": "clarity relevance difficulty quality",
        f"{DATA}::test_attempts_and_max_tokens_of_validating_and_judging_are_what_is_asked": "attempts max_tokens",
    },
    "Answering": {f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "easy hard licenses "
    "high_complexity_words"},
    "Answers": {
        f"{DATA}::test_a_field_of_the_asking_changes_what_is_asked_or_said": "mix max_tokens temperature",
        f"{DATA}::test_attempts_ask_malformed_answers_again": "attempts",
    },
    "Judging": {
        f"{DATA}::test_a_field_of_the_judging_changes_what_stays": "threshold minimum_accuracy",
        f"{DATA}::test_attempts_and_max_tokens_of_validating_and_judging_are_what_is_asked": "attempts max_tokens",
    },
    "Decontamination": {
        "tests/tasks/data/clean/test_decontaminate.py::test_the_share_of_the_questions_n_grams_decides": "words "
        "overlap",
        "tests/tasks/data/clean/test_decontaminate.py::test_a_very_short_question_counts_only_as_the_whole_prompt": "short_words",  # noqa: E501
    },
    "NearDuplicates": {
        "tests/tasks/data/clean/test_near_duplicates.py::test_every_field_of_the_search_changes_what_is_found": "threshold shingle permutations bands rows linkage",  # noqa: E501
        "tests/tasks/data/clean/test_near_duplicates.py::test_fold_decides_whether_what_cannot_be_seen_is_a_difference": "fold",  # noqa: E501
        "tests/tasks/data/clean/test_near_duplicates.py::test_threads_are_those_that_compute": "threads",
    },
    "Balancing": {f"{DATA}::test_tolerance_and_validation_share_change_the_dataset": "tolerance"},
    "Splitting": {f"{DATA}::test_tolerance_and_validation_share_change_the_dataset": "validation_share"},
    "Verification": {f"{DATA}::test_a_field_of_the_verification_changes_the_report": "sample english duplicates fill"},
    # configs/phases/collecting.py
    "Collecting": {
        "tests/tasks/data/test_collect.py::test_the_step_records_licence_and_revision": "sources",
        f"{DATA}::test_fill_decides_whether_public_records_stand_in": "fill",
    },
    "SourceQuota": {"tests/tasks/data/test_collect.py::test_quotas_take_the_first_rows_and_keep_the_best": "records "
    "keep "
    "files"},
    # configs/phases/filtering.py
    "Filters": {
        f"{FILTERS}::test_as_many_processes_judge_as_there_are_workers": "workers",
        SWITCHED: "format token_length english personal_data offensive licence_text repetition",
    },
    "Filter": {SWITCHED: "enabled"},
    "TokenLength": {SWITCHED: "enabled", EXTRACTED: "shortest_prompt shortest_response longest"},
    "English": {SWITCHED: "enabled", EXTRACTED: "letters probability"},
    "PersonalData": {SWITCHED: "enabled", EXTRACTED: "mail phone card iban social_security ip key"},
    "Offensive": {SWITCHED: "enabled", EXTRACTED: "profanity"},
    "LicenceText": {SWITCHED: "enabled"},
    "Format": {SWITCHED: "enabled", EXTRACTED: "refusals"},
    "Repetition": {SWITCHED: "enabled", EXTRACTED: "words line_share four_gram_share run"},
    # configs/phases/training.py
    "Training": {
        "tests/flows/test_training_settings.py::test_every_section_reaches_its_step": "student fine_tuning meta "
        "merging",
        "tests/flows/test_training_settings.py::test_a_fine_tuning_that_gains_less_than_minimum_gain_is_refused": "minimum_gain",  # noqa: E501
        f"{TRAINING}::test_allowed_loss_decides_which_adapter_is_merged": "allowed_loss",
    },
    "Vocabulary": {f"{TRAINING}::test_tokens_and_examples_change_the_vocabulary": "tokens examples"},
    "Scratch": {
        f"{TRAINING}::test_the_source_decides_where_the_student_comes_from": "source",
        f"{TRAINING}::test_the_vocabulary_is_the_students": "vocabulary",
        "tests/tasks/training/students/test_pretrain.py::test_every_setting_changes_the_weights": "hidden layers "
        "feed_forward heads "
        "key_value_heads "
        "rope_theta examples tokens drafted initial_std batch length learning_rate warmup weight_decay clip",
        "tests/tasks/training/students/test_pretrain.py::test_the_context_is_the_models": "context",
        "tests/tasks/training/test_arithmetic.py::test_pretraining_in_bfloat16_learns_as_in_float32": "arithmetic",
    },
    "Hub": {
        f"{TRAINING}::test_the_source_decides_where_the_student_comes_from": "source repository dtype",
        "tests/tasks/training/students/test_student.py::test_a_hub_model_is_taken_at_its_commit": "revision",
    },
    "Local": {
        f"{TRAINING}::test_the_source_decides_where_the_student_comes_from": "source",
        "tests/tasks/training/students/test_student.py::test_other_content_than_the_pinned_is_refused": "path",
        f"{TRAINING}::test_another_sha256_than_the_folders_is_refused": "sha256",
        "tests/tasks/training/students/test_student.py::test_weights_are_stored_in_the_wanted_type": "dtype",
    },
    "GgufStudent": {
        "tests/tasks/training/students/test_from_gguf.py::test_the_dtype_is_that_of_the_weights": "dtype",
        "tests/tasks/training/students/test_from_gguf.py::test_a_file_of_another_content_is_refused": "sha256 path",
        f"{TRAINING}::test_the_source_decides_where_the_student_comes_from": "source",
    },
    "Lora": {
        f"{SFT}::test_every_setting_changes_the_weights": "rank alpha dropout targets dtype epochs batch accumulation "
                                                          "max_length closing learning_rate schedule warmup "
        "weight_decay clip",
        f"{SFT}::test_what_cannot_be_done_is_refused_before_the_work": "quantise",
        "tests/tasks/training/test_arithmetic.py::test_fine_tuning_in_bfloat16_learns_as_in_float32": "arithmetic",
        f"{TRAINING}::test_a_device_that_is_not_there_is_refused": "device",
        f"{TRAINING}::test_checkpointing_computes_the_layers_twice": "checkpointing",
        f"{SFT}::test_the_validation_settings_change_what_is_measured": "evaluations validation_examples",
        f"{SFT}::test_a_run_that_no_longer_gains_stops_and_keeps_its_best": "patience",
    },
    "Anil": {
        f"{ANIL}::test_every_setting_changes_the_weights": "support query inner_steps inner_rate outer_rate tasks "
                                                           "rounds head_layers second_order clip held_out",
        f"{ANIL}::test_the_comparison_is_paired_and_on_tasks_never_trained_on": "episodes",
        f"{TRAINING}::test_meta_training_is_validated_every_so_many_rounds": "evaluate_every",
        f"{ANIL}::test_meta_training_that_no_longer_gains_stops_and_keeps_its_best": "patience",
    },
    "Merging": {
        f"{MERGE}::test_the_stored_type_is_the_wanted_one": "dtype",
        f"{MERGE}::test_the_examples_compared_are_the_settings": "examples max_length",
        f"{MERGE}::test_both_thresholds_count": "max_difference max_divergence",
        f"{TRAINING}::test_a_device_that_is_not_there_is_refused": "device",
    },
    # configs/phases/evaluation.py
    "Evaluation": {
        f"{EVALUATION}::test_rehearsal_and_benchmarks_are_where_questions_come_from": "rehearsal benchmarks",
        f"{EVALUATE}::test_every_setting_changes_what_is_found": "max_new_tokens dtype cache_type_k cache_type_v "
        "perplexity_questions",
        f"{EVALUATE}::test_an_export_agrees_with_its_model_and_another_ones_does_not": "agreement_questions",
        f"{EVALUATION}::test_agreement_is_the_gates_threshold": "agreement",
        "tests/tasks/evaluation/test_ledger.py::test_tolerance_seed_and_resamples_decide_the_row": "tolerance "
        "resamples",
        f"{EVALUATION}::test_a_device_that_is_not_there_is_refused": "device",
        f"{EVALUATION}::test_as_many_prompts_as_a_batch_are_answered_at_once": "batch",
        f"{EVALUATION}::test_slots_threads_and_context_are_what_llama_cpp_is_told": "slots threads context",
        f"{ENGINES}::test_the_engine_of_before_is_no_part_of_the_identity_and_another_is": "engine",
        f"{ENGINES}::test_gpu_layers_are_what_llama_cpp_is_told_and_need_a_gpu": "gpu_layers",
    },
    "InProcess": {f"{ENGINES}::test_kind_in_process_answers_by_transformers_and_llama_cpp": "kind"},
    "Vllm": {
        f"{ENGINES}::test_kind_vllm_is_refused_where_package_or_gpu_is_missing": "kind",
        f"{ENGINES}::test_vllm_is_started_asked_and_ended": "gpu_memory",
        f"{ENGINES}::test_start_s_and_timeout_s_bound_the_wait_for_vllm": "start_s timeout_s",
    },
    "Http": {
        f"{ENGINES}::test_a_server_of_another_model_kind_or_key_is_refused": "server url key_env",
        f"{ENGINES}::test_the_kind_http_is_answered_by_a_server": "kind",
        f"{ENGINES}::test_a_slow_server_is_waited_for_timeout_s": "timeout_s",
    },
    "Rehearsal": {f"{EVALUATION}::test_test_and_calibration_are_how_many_questions_each_purpose_gets": "test "
    "calibration"},
    "Benchmark": {
        f"{EVALUATION}::test_test_and_calibration_are_how_many_questions_each_purpose_gets": "test calibration",
        f"{EVALUATION}::test_the_format_is_how_a_file_is_read_and_answers_url_holds_the_truth": "format url "
        "answers_url",
        "tests/tasks/evaluation/test_held_out.py::test_what_cannot_be_drawn_is_one_clear_line": "sha256",
    },
    # configs/phases/compression.py
    "Compression": {
        f"{COMPRESSION_PHASE}::test_every_section_reaches_its_steps": "calibration pruning recovery awq gguf "
        "temperature packing",
        f"{COMPRESSION_PHASE}::test_a_packed_model_above_target_megabytes_is_refused": "target_megabytes",
    },
    "Calibration": {
        f"{COMPRESSION}::test_a_calibration_of_another_size_is_another_text_for_the_weights": "rows tokens",
        f"{COMPRESSION}::test_the_calibration_batch_is_what_a_forward_pass_gets": "batch",
        f"{COMPRESSION}::test_a_device_that_is_not_there_is_refused": "device",
    },
    "Owl": {f"{COMPRESSION}::test_threshold_and_spread_change_the_layers_shares": "threshold spread"},
    "Pruning": {
        f"{COMPRESSION}::test_every_field_of_the_pruning_changes_which_weights_stay": "method structure layer_ratios "
        "block dampening",
        f"{COMPRESSION_PHASE}::test_what_is_switched_off_is_not_made": "stages",
        f"{COMPRESSION_PHASE}::test_a_stage_beyond_max_perplexity_ratio_is_undone": "max_perplexity_ratio",
    },
    "MaskedLora": {f"{COMPRESSION}::test_rank_and_alpha_of_the_masked_update_change_the_weights": "rank alpha"},
    "Recovery": {
        f"{COMPRESSION}::test_every_field_of_the_recovery_changes_the_weights": "lora examples batch accumulation "
        "tokens learning_rate warmup clip "
        "label_weight",
        f"{COMPRESSION}::test_a_device_that_is_not_there_is_refused": "device",
        f"{COMPRESSION}::test_checkpointing_computes_the_layers_twice_and_learns_the_same": "checkpointing",
    },
    "Awq": {
        f"{COMPRESSION}::test_another_backend_has_other_limits": "backend",
        f"{COMPRESSION}::test_every_field_of_the_search_changes_the_folded_weights": "duo_scaling grid bits group rows",
        f"{COMPRESSION}::test_a_divergence_above_max_divergence_is_refused": "max_divergence",
        f"{COMPRESSION_PHASE}::test_what_is_switched_off_is_not_made": "w4a16",
    },
    "Gguf": {
        f"{COMPRESSION_PHASE}::test_the_exports_are_those_that_the_settings_name": "reference served sparse",
        f"{COMPRESSION_PHASE}::test_the_fallback_is_served_where_the_first_choice_loses_too_much": "fallback",
        f"{COMPRESSION_PHASE}::test_importance_changes_the_rounding": "importance",
        f"{COMPRESSION_PHASE}::test_smallest_serves_and_weighs_the_export_that_packs_smallest": "smallest",
    },
    "Temperature": {
        f"{COMPRESSION}::test_the_temperatures_examples_tokens_and_batch_are_what_is_judged": "examples tokens batch",
        f"{COMPRESSION}::test_a_device_that_is_not_there_is_refused": "device",
    },
    "Packing": {
        f"{COMPRESSION}::test_level_and_byte_planes_change_the_packed_bytes": "level byte_planes",
        f"{COMPRESSION}::test_as_many_threads_as_the_settings_say_pack": "threads",
        "tests/tasks/compression/packing/test_zstd.py::test_a_dictionary_serves_many_alike_files_and_never_makes_one_larger": "dictionary_kb",  # noqa: E501
    },
    # configs/phases/modifiers.py
    "Hints": {f"{MODIFIERS}::test_description_and_hints_are_what_teachers_are_told": "questions answers"},
    "Coverage": {
        f"{MODIFIERS}::test_description_and_hints_are_what_teachers_are_told": "description hints",
        f"{MODIFIERS}::test_the_domains_of_a_coverage_are_those_that_are_asked_about": "domains",
    },
    "RehearsalSource": {f"{MODIFIERS}::test_the_kind_decides_where_questions_come_from": "kind"},
    "BenchmarkSource": {
        f"{MODIFIERS}::test_the_kind_decides_where_questions_come_from": "kind",
        f"{MODIFIERS}::test_the_benchmarks_of_a_source_are_those_that_are_read": "benchmarks",
    },
    "TeacherSource": {
        f"{MODIFIERS}::test_the_kind_decides_where_questions_come_from": "kind",
        f"{MODIFIERS}::test_questions_are_asked_of_the_role": "role",
        f"{MODIFIERS}::test_a_batch_of_questions_is_asked_for_in_one_call": "batch",
        f"{MODIFIERS}::test_attempts_ask_again_for_what_max_tokens_cut": "attempts max_tokens",
        f"{MODIFIERS}::test_another_temperature_is_another_call": "temperature",
    },
    "Cascade": {
        f"{MODIFIERS}::test_the_tiers_are_asked_in_their_order": "tiers",
        f"{MODIFIERS}::test_attempts_are_made_at_each_tier": "attempts",
        f"{MODIFIERS}::test_max_tokens_cuts_answers_off": "max_tokens",
        f"{MODIFIERS}::test_the_first_answer_has_the_temperature_and_further_ones_the_retry_temperature": "temperature "
        "retry_temperature",
    },
    "Mixture": {f"{MODIFIERS}::test_own_right_replay_and_validation_share_are_the_mixture": "own_right replay "
    "validation_share"},
    "Acceptance": {f"{PHASES}::test_acceptance_decides_on_the_release": "minimum_gain allowed_loss"},
    "Modifier": {
        f"{PHASES}::test_the_name_of_a_modifier_decides_what_it_covers_and_who_mends": "name",
        f"{PHASES}::test_every_section_of_the_modifiers_reaches_its_step": "lora",
    },
    "Modifiers": {
        f"{PHASES}::test_questions_hard_share_and_source_decide_what_is_posed": "questions hard_share source",
        f"{PHASES}::test_every_section_of_the_modifiers_reaches_its_step": "cascade mixture acceptance each",
    },
    # configs/phases/routing.py
    "DomainLearning": {f"{ROUTING}::test_every_field_of_the_domain_learning_changes_what_it_says": "sizes buckets "
    "characters epochs "
    "batch "
    "learning_rate "
    "decay"},
    "RouterLearning": {
        f"{ROUTING}::test_every_field_of_the_router_learning_changes_the_network": "first_tokens epochs set_aside "
        "batch learning_rate decay",
        f"{ROUTING}::test_the_layers_are_the_networks": "layers",
        f"{ROUTING}::test_patience_decides_how_long_a_loss_may_not_fall": "patience",
    },
    "Threshold": {f"{ROUTING}::test_default_most_cost_and_steps_decide_the_threshold": "default most_cost steps"},
    "Routing": {
        f"{PHASES}::test_routing_questions_are_those_of_the_domains_without_a_modifier": "questions",
        f"{PHASES}::test_every_section_of_the_routing_reaches_its_step": "domains router threshold",
        f"{PHASES}::test_calibration_chooses_the_map": "calibration",
        f"{PHASES}::test_a_router_that_may_lose_more_than_the_tolerance_is_refused": "tolerance",
    },
    # configs/phases/release.py
    "Release": {
        f"{RELEASE}::test_title_and_license_are_on_the_card": "title license",
        f"{RELEASE}::test_answer_tokens_bound_an_answer": "answer_tokens",
        f"{RELEASE}::test_context_tokens_bound_a_conversation": "context_tokens",
        f"{RELEASE}::test_log_decides_what_is_written_down": "log",
        "tests/tasks/release/test_packed.py::test_packed_ships_packed_and_answers_as_the_file_does": "packed",
        f"{RELEASE}::test_keep_is_how_many_earlier_releases_stay_listed": "keep",
        "tests/flows/test_pipeline.py::test_a_failed_gate_stops_loudly_and_releases_nothing": "size_limit_mib",
    },
    # configs/phases/nightly.py
    "Approval": {
        "tests/flows/test_approval.py::test_nothing_is_asked_below_the_amount": "above_dollars before_promotion",
        f"{PROFILE}::test_approval_and_teachers_decide_whether_a_run_that_may_spend_goes_on": "unattended",
        "tests/flows/test_approval.py::test_a_suspended_run_waits_as_long_as_wait_s": "wait_s",
    },
    "Moving": {
        f"{PHASES}::test_moving_decides_what_a_night_takes_up": "records share",
        "tests/tasks/improvement/test_moved_domains.py::test_answers_that_nobody_judged_move_a_domain_by_their_escalations_and_fallbacks": "drift",  # noqa: E501
    },
    "Examination": {f"{PHASES}::test_a_nights_examination_has_the_size_that_the_settings_say": "affected elsewhere"},
    "Nightly": {
        f"{PHASES}::test_moving_decides_what_a_night_takes_up": "moving",
        f"{PHASES}::test_a_night_asks_as_many_questions_and_takes_over_as_many_as_it_may": "questions logged",
        f"{PHASES}::test_a_nights_examination_has_the_size_that_the_settings_say": "examination",
        f"{PHASES}::test_the_nights_gate_compares_with_the_settings": "minimum_gain tolerance",
    },
}  # fmt: skip


def described(kind: type[Settings]) -> set[type[Settings]]:
    return {kind}.union(*(described(below) for below in kind.__subclasses__()))


OURS = {
    kind.__name__: kind for kind in described(Settings) if kind.__module__.startswith("configs.") and kind.model_fields
}


@cache
def source(path: str) -> dict[str, str]:
    """The source of every test function of a file, its decorators included."""
    text = (ROOT / path).read_text()
    lines = text.splitlines()
    return {
        node.name: "\n".join(
            lines[min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1 : node.end_lineno]
        )
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_model_and_every_field_has_its_test_and_each_one_only() -> None:
    assert Profile.__name__ in OURS
    missing = {
        name: sorted(set(kind.model_fields) - set(" ".join(SHOWN.get(name, {}).values()).split()))
        for name, kind in OURS.items()
    }
    assert {name: fields for name, fields in missing.items() if fields} == {}
    unknown = {
        name: sorted(set(" ".join(tests.values()).split()) - set(OURS[name].model_fields if name in OURS else ()))
        for name, tests in SHOWN.items()
    }
    assert {name: fields for name, fields in unknown.items() if fields or name not in OURS} == {}
    listed = [
        f"{name}.{field}" for name, tests in SHOWN.items() for fields in tests.values() for field in fields.split()
    ]
    assert sorted(listed) == sorted(set(listed))


@pytest.mark.parametrize("name", SHOWN)
def test_each_test_is_there_and_speaks_of_its_fields(name: str) -> None:
    for node, fields in SHOWN[name].items():
        path, _, function = node.partition("::")
        assert (ROOT / path).is_file(), path
        assert function in source(path), f"{name}: there is no {node}"
        silent = [
            field
            for field in fields.split()
            if not re.search(rf"(?<![A-Za-z0-9_]){field}(?![A-Za-z0-9_])", source(path)[function])
        ]
        assert silent == [], f"{node} does not speak of {name}'s {silent}"
