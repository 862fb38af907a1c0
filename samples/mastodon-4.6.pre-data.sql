-- The schema of Mastodon 4.6: function, sequences and tables.
-- Generated, do not edit: python -m samples.schema_from_facts mastodon-schema.json
-- The function and the views have Mastodon's names and columns, but bodies of our own.

CREATE FUNCTION timestamp_id(table_name text) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    salt constant text := '5a3cb1e0d8f94a7796c2e07f41d8b63a';
    milliseconds constant bigint := floor(extract(epoch FROM now()) * 1000);
    start constant bigint := ('x' || left(md5(table_name || salt || milliseconds), 4))::bit(16)::integer;
BEGIN
    RETURN (milliseconds << 16) | ((start + nextval(table_name || '_id_seq')) & 65535);
END
$body$;

CREATE SEQUENCE account_aliases_id_seq;
CREATE SEQUENCE account_conversations_id_seq;
CREATE SEQUENCE account_deletion_requests_id_seq;
CREATE SEQUENCE account_domain_blocks_id_seq;
CREATE SEQUENCE account_migrations_id_seq;
CREATE SEQUENCE account_moderation_notes_id_seq;
CREATE SEQUENCE account_notes_id_seq;
CREATE SEQUENCE account_pins_id_seq;
CREATE SEQUENCE account_relationship_severance_events_id_seq;
CREATE SEQUENCE account_stats_id_seq;
CREATE SEQUENCE account_statuses_cleanup_policies_id_seq;
CREATE SEQUENCE account_warning_presets_id_seq;
CREATE SEQUENCE account_warnings_id_seq;
CREATE SEQUENCE accounts_id_seq;
CREATE SEQUENCE admin_action_logs_id_seq;
CREATE SEQUENCE announcement_mutes_id_seq;
CREATE SEQUENCE announcement_reactions_id_seq;
CREATE SEQUENCE announcements_id_seq;
CREATE SEQUENCE annual_report_statuses_per_account_counts_id_seq;
CREATE SEQUENCE appeals_id_seq;
CREATE SEQUENCE backups_id_seq;
CREATE SEQUENCE blocks_id_seq;
CREATE SEQUENCE bookmarks_id_seq;
CREATE SEQUENCE bulk_import_rows_id_seq;
CREATE SEQUENCE bulk_imports_id_seq;
CREATE SEQUENCE canonical_email_blocks_id_seq;
CREATE SEQUENCE collection_items_id_seq;
CREATE SEQUENCE collection_reports_id_seq;
CREATE SEQUENCE collections_id_seq;
CREATE SEQUENCE conversation_mutes_id_seq;
CREATE SEQUENCE conversations_id_seq;
CREATE SEQUENCE custom_emoji_categories_id_seq;
CREATE SEQUENCE custom_emojis_id_seq;
CREATE SEQUENCE custom_filter_keywords_id_seq;
CREATE SEQUENCE custom_filter_statuses_id_seq;
CREATE SEQUENCE custom_filters_id_seq;
CREATE SEQUENCE domain_allows_id_seq;
CREATE SEQUENCE domain_blocks_id_seq;
CREATE SEQUENCE email_domain_blocks_id_seq;
CREATE SEQUENCE email_subscriptions_id_seq;
CREATE SEQUENCE fasp_backfill_requests_id_seq;
CREATE SEQUENCE fasp_debug_callbacks_id_seq;
CREATE SEQUENCE fasp_follow_recommendations_id_seq;
CREATE SEQUENCE fasp_providers_id_seq;
CREATE SEQUENCE fasp_subscriptions_id_seq;
CREATE SEQUENCE favourites_id_seq;
CREATE SEQUENCE featured_tags_id_seq;
CREATE SEQUENCE follow_recommendation_mutes_id_seq;
CREATE SEQUENCE follow_recommendation_suppressions_id_seq;
CREATE SEQUENCE follow_requests_id_seq;
CREATE SEQUENCE follows_id_seq;
CREATE SEQUENCE generated_annual_reports_id_seq;
CREATE SEQUENCE identities_id_seq;
CREATE SEQUENCE instance_moderation_notes_id_seq;
CREATE SEQUENCE invites_id_seq;
CREATE SEQUENCE ip_blocks_id_seq;
CREATE SEQUENCE keypairs_id_seq;
CREATE SEQUENCE list_accounts_id_seq;
CREATE SEQUENCE lists_id_seq;
CREATE SEQUENCE login_activities_id_seq;
CREATE SEQUENCE markers_id_seq;
CREATE SEQUENCE media_attachments_id_seq;
CREATE SEQUENCE mentions_id_seq;
CREATE SEQUENCE mutes_id_seq;
CREATE SEQUENCE notification_permissions_id_seq;
CREATE SEQUENCE notification_policies_id_seq;
CREATE SEQUENCE notification_requests_id_seq;
CREATE SEQUENCE notifications_id_seq;
CREATE SEQUENCE oauth_access_grants_id_seq;
CREATE SEQUENCE oauth_access_tokens_id_seq;
CREATE SEQUENCE oauth_applications_id_seq;
CREATE SEQUENCE pghero_space_stats_id_seq;
CREATE SEQUENCE poll_votes_id_seq;
CREATE SEQUENCE polls_id_seq;
CREATE SEQUENCE preview_card_providers_id_seq;
CREATE SEQUENCE preview_card_trends_id_seq;
CREATE SEQUENCE preview_cards_id_seq;
CREATE SEQUENCE quotes_id_seq;
CREATE SEQUENCE relationship_severance_events_id_seq;
CREATE SEQUENCE relays_id_seq;
CREATE SEQUENCE report_notes_id_seq;
CREATE SEQUENCE reports_id_seq;
CREATE SEQUENCE rule_translations_id_seq;
CREATE SEQUENCE rules_id_seq;
CREATE SEQUENCE scheduled_statuses_id_seq;
CREATE SEQUENCE session_activations_id_seq;
CREATE SEQUENCE settings_id_seq;
CREATE SEQUENCE severed_relationships_id_seq;
CREATE SEQUENCE site_uploads_id_seq;
CREATE SEQUENCE software_updates_id_seq;
CREATE SEQUENCE status_edits_id_seq;
CREATE SEQUENCE status_pins_id_seq;
CREATE SEQUENCE status_stats_id_seq;
CREATE SEQUENCE status_trends_id_seq;
CREATE SEQUENCE statuses_id_seq;
CREATE SEQUENCE tag_follows_id_seq;
CREATE SEQUENCE tag_trends_id_seq;
CREATE SEQUENCE tagged_objects_id_seq;
CREATE SEQUENCE tags_id_seq;
CREATE SEQUENCE terms_of_services_id_seq;
CREATE SEQUENCE tombstones_id_seq;
CREATE SEQUENCE unavailable_domains_id_seq;
CREATE SEQUENCE user_invite_requests_id_seq;
CREATE SEQUENCE user_roles_id_seq;
CREATE SEQUENCE username_blocks_id_seq;
CREATE SEQUENCE users_id_seq;
CREATE SEQUENCE web_push_subscriptions_id_seq;
CREATE SEQUENCE web_settings_id_seq;
CREATE SEQUENCE webauthn_credentials_id_seq;
CREATE SEQUENCE webhooks_id_seq;

CREATE TABLE account_aliases (
    "id" bigint DEFAULT nextval('account_aliases_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "acct" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying DEFAULT ''::character varying NOT NULL
);

CREATE TABLE account_conversations (
    "id" bigint DEFAULT nextval('account_conversations_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "conversation_id" bigint NOT NULL,
    "last_status_id" bigint,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "participant_account_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "status_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "unread" boolean DEFAULT false NOT NULL
);

CREATE TABLE account_deletion_requests (
    "id" bigint DEFAULT nextval('account_deletion_requests_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_domain_blocks (
    "id" bigint DEFAULT nextval('account_domain_blocks_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "domain" character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_migrations (
    "id" bigint DEFAULT nextval('account_migrations_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "acct" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "followers_count" bigint DEFAULT 0 NOT NULL,
    "target_account_id" bigint,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_moderation_notes (
    "id" bigint DEFAULT nextval('account_moderation_notes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "content" text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_notes (
    "id" bigint DEFAULT nextval('account_notes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "comment" text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_pins (
    "id" bigint DEFAULT nextval('account_pins_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_relationship_severance_events (
    "id" bigint DEFAULT nextval('account_relationship_severance_events_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "followers_count" integer DEFAULT 0 NOT NULL,
    "following_count" integer DEFAULT 0 NOT NULL,
    "relationship_severance_event_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE account_stats (
    "id" bigint DEFAULT nextval('account_stats_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "followers_count" bigint DEFAULT 0 NOT NULL,
    "following_count" bigint DEFAULT 0 NOT NULL,
    "last_status_at" timestamp without time zone,
    "statuses_count" bigint DEFAULT 0 NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_statuses_cleanup_policies (
    "id" bigint DEFAULT nextval('account_statuses_cleanup_policies_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "enabled" boolean DEFAULT true NOT NULL,
    "keep_direct" boolean DEFAULT true NOT NULL,
    "keep_media" boolean DEFAULT false NOT NULL,
    "keep_pinned" boolean DEFAULT true NOT NULL,
    "keep_polls" boolean DEFAULT false NOT NULL,
    "keep_self_bookmark" boolean DEFAULT true NOT NULL,
    "keep_self_fav" boolean DEFAULT true NOT NULL,
    "min_favs" integer,
    "min_reblogs" integer,
    "min_status_age" integer DEFAULT 1209600 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE account_warning_presets (
    "id" bigint DEFAULT nextval('account_warning_presets_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "title" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_warnings (
    "id" bigint DEFAULT nextval('account_warnings_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "action" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "overruled_at" timestamp without time zone,
    "report_id" bigint,
    "status_ids" character varying[],
    "target_account_id" bigint,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE accounts (
    "id" bigint DEFAULT timestamp_id('accounts'::text) NOT NULL,
    "actor_type" character varying,
    "also_known_as" character varying[],
    "attribution_domains" character varying[] DEFAULT '{}'::character varying[],
    "avatar_content_type" character varying,
    "avatar_description" character varying DEFAULT ''::character varying NOT NULL,
    "avatar_file_name" character varying,
    "avatar_file_size" integer,
    "avatar_remote_url" character varying,
    "avatar_storage_schema_version" integer,
    "avatar_updated_at" timestamp without time zone,
    "collections_url" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "discoverable" boolean,
    "display_name" character varying DEFAULT ''::character varying NOT NULL,
    "domain" character varying,
    "feature_approval_policy" integer DEFAULT 0 NOT NULL,
    "featured_collection_url" character varying,
    "fields" jsonb,
    "followers_url" character varying DEFAULT ''::character varying NOT NULL,
    "following_url" character varying DEFAULT ''::character varying NOT NULL,
    "header_content_type" character varying,
    "header_description" character varying DEFAULT ''::character varying NOT NULL,
    "header_file_name" character varying,
    "header_file_size" integer,
    "header_remote_url" character varying DEFAULT ''::character varying NOT NULL,
    "header_storage_schema_version" integer,
    "header_updated_at" timestamp without time zone,
    "hide_collections" boolean,
    "id_scheme" integer DEFAULT 1,
    "inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "indexable" boolean DEFAULT false NOT NULL,
    "last_webfingered_at" timestamp without time zone,
    "locked" boolean DEFAULT false NOT NULL,
    "memorial" boolean DEFAULT false NOT NULL,
    "moved_to_account_id" bigint,
    "note" text DEFAULT ''::text NOT NULL,
    "outbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "private_key" text,
    "protocol" integer DEFAULT 0 NOT NULL,
    "public_key" text DEFAULT ''::text NOT NULL,
    "requested_review_at" timestamp without time zone,
    "reviewed_at" timestamp without time zone,
    "sensitized_at" timestamp without time zone,
    "shared_inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "show_featured" boolean DEFAULT true NOT NULL,
    "show_media" boolean DEFAULT true NOT NULL,
    "show_media_replies" boolean DEFAULT true NOT NULL,
    "silenced_at" timestamp without time zone,
    "suspended_at" timestamp without time zone,
    "suspension_origin" integer,
    "trendable" boolean,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying DEFAULT ''::character varying NOT NULL,
    "url" character varying,
    "username" character varying DEFAULT ''::character varying NOT NULL
);

CREATE TABLE accounts_tags (
    "account_id" bigint NOT NULL,
    "tag_id" bigint NOT NULL
);

CREATE TABLE admin_action_logs (
    "id" bigint DEFAULT nextval('admin_action_logs_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "action" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "human_identifier" character varying,
    "permalink" character varying,
    "route_param" character varying,
    "target_id" bigint,
    "target_type" character varying,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE announcement_mutes (
    "id" bigint DEFAULT nextval('announcement_mutes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "announcement_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE announcement_reactions (
    "id" bigint DEFAULT nextval('announcement_reactions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "announcement_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "custom_emoji_id" bigint,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE announcements (
    "id" bigint DEFAULT nextval('announcements_id_seq'::regclass) NOT NULL,
    "all_day" boolean DEFAULT false NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "ends_at" timestamp without time zone,
    "notification_sent_at" timestamp(6) without time zone,
    "published" boolean DEFAULT false NOT NULL,
    "published_at" timestamp without time zone,
    "scheduled_at" timestamp without time zone,
    "starts_at" timestamp without time zone,
    "status_ids" bigint[],
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE annual_report_statuses_per_account_counts (
    "id" bigint DEFAULT nextval('annual_report_statuses_per_account_counts_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "statuses_count" bigint NOT NULL,
    "year" integer NOT NULL
);

CREATE TABLE appeals (
    "id" bigint DEFAULT nextval('appeals_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "account_warning_id" bigint NOT NULL,
    "approved_at" timestamp without time zone,
    "approved_by_account_id" bigint,
    "created_at" timestamp(6) without time zone NOT NULL,
    "rejected_at" timestamp without time zone,
    "rejected_by_account_id" bigint,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE ar_internal_metadata (
    "key" character varying NOT NULL,
    "value" character varying,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE backups (
    "id" bigint DEFAULT nextval('backups_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "dump_content_type" character varying,
    "dump_file_name" character varying,
    "dump_file_size" bigint,
    "dump_updated_at" timestamp without time zone,
    "processed" boolean DEFAULT false NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint
);

CREATE TABLE blocks (
    "id" bigint DEFAULT nextval('blocks_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE bookmarks (
    "id" bigint DEFAULT nextval('bookmarks_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE bulk_import_rows (
    "id" bigint DEFAULT nextval('bulk_import_rows_id_seq'::regclass) NOT NULL,
    "bulk_import_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "data" jsonb,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE bulk_imports (
    "id" bigint DEFAULT nextval('bulk_imports_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "finished_at" timestamp without time zone,
    "imported_items" integer DEFAULT 0 NOT NULL,
    "likely_mismatched" boolean DEFAULT false NOT NULL,
    "missing_status" boolean DEFAULT false NOT NULL,
    "original_filename" character varying DEFAULT ''::character varying NOT NULL,
    "overwrite" boolean DEFAULT false NOT NULL,
    "processed_items" integer DEFAULT 0 NOT NULL,
    "state" integer NOT NULL,
    "total_items" integer DEFAULT 0 NOT NULL,
    "type" integer NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE canonical_email_blocks (
    "id" bigint DEFAULT nextval('canonical_email_blocks_id_seq'::regclass) NOT NULL,
    "canonical_email_hash" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "reference_account_id" bigint,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE collection_items (
    "id" bigint DEFAULT timestamp_id('collection_items'::text) NOT NULL,
    "account_id" bigint,
    "activity_uri" character varying,
    "approval_last_verified_at" timestamp(6) without time zone,
    "approval_uri" character varying,
    "collection_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "object_uri" character varying,
    "position" integer DEFAULT 1 NOT NULL,
    "state" integer DEFAULT 0 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE collection_reports (
    "id" bigint DEFAULT nextval('collection_reports_id_seq'::regclass) NOT NULL,
    "collection_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "report_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE collections (
    "id" bigint DEFAULT timestamp_id('collections'::text) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "description" text,
    "description_html" text,
    "discoverable" boolean NOT NULL,
    "item_count" integer DEFAULT 0 NOT NULL,
    "language" character varying,
    "local" boolean NOT NULL,
    "name" character varying NOT NULL,
    "original_number_of_items" integer,
    "sensitive" boolean NOT NULL,
    "tag_id" bigint,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "uri" character varying,
    "url" character varying
);

CREATE TABLE conversation_mutes (
    "id" bigint DEFAULT nextval('conversation_mutes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "conversation_id" bigint NOT NULL
);

CREATE TABLE conversations (
    "id" bigint DEFAULT nextval('conversations_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "parent_account_id" bigint,
    "parent_status_id" bigint,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE custom_emoji_categories (
    "id" bigint DEFAULT nextval('custom_emoji_categories_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "featured_emoji_id" bigint,
    "name" character varying,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE custom_emojis (
    "id" bigint DEFAULT nextval('custom_emojis_id_seq'::regclass) NOT NULL,
    "category_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "disabled" boolean DEFAULT false NOT NULL,
    "domain" character varying,
    "image_content_type" character varying,
    "image_file_name" character varying,
    "image_file_size" integer,
    "image_remote_url" character varying,
    "image_storage_schema_version" integer,
    "image_updated_at" timestamp without time zone,
    "shortcode" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying,
    "visible_in_picker" boolean DEFAULT true NOT NULL
);

CREATE TABLE custom_filter_keywords (
    "id" bigint DEFAULT nextval('custom_filter_keywords_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "custom_filter_id" bigint NOT NULL,
    "keyword" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "whole_word" boolean DEFAULT true NOT NULL
);

CREATE TABLE custom_filter_statuses (
    "id" bigint DEFAULT nextval('custom_filter_statuses_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "custom_filter_id" bigint NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE custom_filters (
    "id" bigint DEFAULT nextval('custom_filters_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "action" integer DEFAULT 0 NOT NULL,
    "context" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "phrase" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE domain_allows (
    "id" bigint DEFAULT nextval('domain_allows_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE domain_blocks (
    "id" bigint DEFAULT nextval('domain_blocks_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "obfuscate" boolean DEFAULT false NOT NULL,
    "private_comment" text,
    "public_comment" text,
    "reject_media" boolean DEFAULT false NOT NULL,
    "reject_reports" boolean DEFAULT false NOT NULL,
    "severity" integer DEFAULT 0,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE email_domain_blocks (
    "id" bigint DEFAULT nextval('email_domain_blocks_id_seq'::regclass) NOT NULL,
    "allow_with_approval" boolean DEFAULT false NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "parent_id" bigint,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE email_subscriptions (
    "id" bigint DEFAULT nextval('email_subscriptions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "confirmation_token" character varying,
    "confirmed_at" timestamp(6) without time zone,
    "created_at" timestamp(6) without time zone NOT NULL,
    "email" character varying NOT NULL,
    "locale" character varying NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE fasp_backfill_requests (
    "id" bigint DEFAULT nextval('fasp_backfill_requests_id_seq'::regclass) NOT NULL,
    "category" character varying NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "cursor" character varying,
    "fasp_provider_id" bigint NOT NULL,
    "fulfilled" boolean DEFAULT false NOT NULL,
    "max_count" integer DEFAULT 100 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE fasp_debug_callbacks (
    "id" bigint DEFAULT nextval('fasp_debug_callbacks_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "fasp_provider_id" bigint NOT NULL,
    "ip" character varying NOT NULL,
    "request_body" text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE fasp_follow_recommendations (
    "id" bigint DEFAULT nextval('fasp_follow_recommendations_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "recommended_account_id" bigint NOT NULL,
    "requesting_account_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE fasp_providers (
    "id" bigint DEFAULT nextval('fasp_providers_id_seq'::regclass) NOT NULL,
    "base_url" character varying NOT NULL,
    "capabilities" jsonb DEFAULT '[]'::jsonb NOT NULL,
    "confirmed" boolean DEFAULT false NOT NULL,
    "contact_email" character varying,
    "created_at" timestamp(6) without time zone NOT NULL,
    "delivery_last_failed_at" timestamp(6) without time zone,
    "fediverse_account" character varying,
    "name" character varying NOT NULL,
    "privacy_policy" jsonb,
    "provider_public_key_pem" character varying NOT NULL,
    "remote_identifier" character varying NOT NULL,
    "server_private_key_pem" character varying NOT NULL,
    "sign_in_url" character varying,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE fasp_subscriptions (
    "id" bigint DEFAULT nextval('fasp_subscriptions_id_seq'::regclass) NOT NULL,
    "category" character varying NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "fasp_provider_id" bigint NOT NULL,
    "max_batch_size" integer NOT NULL,
    "subscription_type" character varying NOT NULL,
    "threshold_likes" integer,
    "threshold_replies" integer,
    "threshold_shares" integer,
    "threshold_timeframe" integer,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE favourites (
    "id" bigint DEFAULT nextval('favourites_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE featured_tags (
    "id" bigint DEFAULT nextval('featured_tags_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "last_status_at" timestamp without time zone,
    "name" character varying,
    "statuses_count" bigint DEFAULT 0 NOT NULL,
    "tag_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE follow_recommendation_mutes (
    "id" bigint DEFAULT nextval('follow_recommendation_mutes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE follow_recommendation_suppressions (
    "id" bigint DEFAULT nextval('follow_recommendation_suppressions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE follow_requests (
    "id" bigint DEFAULT nextval('follow_requests_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "languages" character varying[],
    "notify" boolean DEFAULT false NOT NULL,
    "show_reblogs" boolean DEFAULT true NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE follows (
    "id" bigint DEFAULT nextval('follows_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "languages" character varying[],
    "notify" boolean DEFAULT false NOT NULL,
    "show_reblogs" boolean DEFAULT true NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE generated_annual_reports (
    "id" bigint DEFAULT nextval('generated_annual_reports_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "data" jsonb NOT NULL,
    "schema_version" integer NOT NULL,
    "share_key" character varying,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "viewed_at" timestamp(6) without time zone,
    "year" integer NOT NULL
);

CREATE TABLE identities (
    "id" bigint DEFAULT nextval('identities_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "provider" character varying DEFAULT ''::character varying NOT NULL,
    "uid" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint
);

CREATE TABLE instance_moderation_notes (
    "id" bigint DEFAULT nextval('instance_moderation_notes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "content" text,
    "created_at" timestamp(6) without time zone NOT NULL,
    "domain" character varying NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE invites (
    "id" bigint DEFAULT nextval('invites_id_seq'::regclass) NOT NULL,
    "autofollow" boolean DEFAULT false NOT NULL,
    "code" character varying DEFAULT ''::character varying NOT NULL,
    "comment" text,
    "created_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "max_uses" integer,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL,
    "uses" integer DEFAULT 0 NOT NULL
);

CREATE TABLE ip_blocks (
    "id" bigint DEFAULT nextval('ip_blocks_id_seq'::regclass) NOT NULL,
    "comment" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "ip" inet DEFAULT '0.0.0.0'::inet NOT NULL,
    "severity" integer DEFAULT 0 NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE keypairs (
    "id" bigint DEFAULT nextval('keypairs_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "expires_at" timestamp(6) without time zone,
    "private_key" character varying,
    "public_key" character varying NOT NULL,
    "revoked" boolean DEFAULT false NOT NULL,
    "type" integer NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "uri" character varying NOT NULL
);

CREATE TABLE list_accounts (
    "id" bigint DEFAULT nextval('list_accounts_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "follow_id" bigint,
    "follow_request_id" bigint,
    "list_id" bigint NOT NULL
);

CREATE TABLE lists (
    "id" bigint DEFAULT nextval('lists_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "exclusive" boolean DEFAULT false NOT NULL,
    "replies_policy" integer DEFAULT 0 NOT NULL,
    "title" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE login_activities (
    "id" bigint DEFAULT nextval('login_activities_id_seq'::regclass) NOT NULL,
    "authentication_method" character varying,
    "created_at" timestamp without time zone,
    "failure_reason" character varying,
    "ip" inet,
    "provider" character varying,
    "success" boolean,
    "user_agent" character varying,
    "user_id" bigint NOT NULL
);

CREATE TABLE markers (
    "id" bigint DEFAULT nextval('markers_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "last_read_id" bigint DEFAULT 0 NOT NULL,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "timeline" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL
);

CREATE TABLE media_attachments (
    "id" bigint DEFAULT timestamp_id('media_attachments'::text) NOT NULL,
    "account_id" bigint,
    "blurhash" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "description" text,
    "file_content_type" character varying,
    "file_file_name" character varying,
    "file_file_size" integer,
    "file_meta" json,
    "file_storage_schema_version" integer,
    "file_updated_at" timestamp without time zone,
    "processing" integer,
    "remote_url" character varying DEFAULT ''::character varying NOT NULL,
    "scheduled_status_id" bigint,
    "shortcode" character varying,
    "status_id" bigint,
    "thumbnail_content_type" character varying,
    "thumbnail_file_name" character varying,
    "thumbnail_file_size" integer,
    "thumbnail_remote_url" character varying,
    "thumbnail_storage_schema_version" integer,
    "thumbnail_updated_at" timestamp without time zone,
    "type" integer DEFAULT 0 NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE mentions (
    "id" bigint DEFAULT nextval('mentions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "silent" boolean DEFAULT false NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE mutes (
    "id" bigint DEFAULT nextval('mutes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "hide_notifications" boolean DEFAULT true NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE notification_permissions (
    "id" bigint DEFAULT nextval('notification_permissions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "from_account_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE notification_policies (
    "id" bigint DEFAULT nextval('notification_policies_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "for_bots" integer DEFAULT 0 NOT NULL,
    "for_limited_accounts" integer DEFAULT 1 NOT NULL,
    "for_new_accounts" integer DEFAULT 0 NOT NULL,
    "for_not_followers" integer DEFAULT 0 NOT NULL,
    "for_not_following" integer DEFAULT 0 NOT NULL,
    "for_private_mentions" integer DEFAULT 1 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE notification_requests (
    "id" bigint DEFAULT timestamp_id('notification_requests'::text) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "from_account_id" bigint NOT NULL,
    "last_status_id" bigint,
    "notifications_count" bigint DEFAULT 0 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE notifications (
    "id" bigint DEFAULT nextval('notifications_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "activity_id" bigint NOT NULL,
    "activity_type" character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "filtered" boolean DEFAULT false NOT NULL,
    "from_account_id" bigint NOT NULL,
    "group_key" character varying,
    "type" character varying,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE oauth_access_grants (
    "id" bigint DEFAULT nextval('oauth_access_grants_id_seq'::regclass) NOT NULL,
    "application_id" bigint NOT NULL,
    "code_challenge" character varying,
    "code_challenge_method" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "expires_in" integer NOT NULL,
    "redirect_uri" text NOT NULL,
    "resource_owner_id" bigint NOT NULL,
    "revoked_at" timestamp without time zone,
    "scopes" character varying,
    "token" character varying NOT NULL
);

CREATE TABLE oauth_access_tokens (
    "id" bigint DEFAULT nextval('oauth_access_tokens_id_seq'::regclass) NOT NULL,
    "application_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "expires_in" integer,
    "last_used_at" timestamp without time zone,
    "last_used_ip" inet,
    "refresh_token" character varying,
    "resource_owner_id" bigint,
    "revoked_at" timestamp without time zone,
    "scopes" character varying,
    "token" character varying NOT NULL
);

CREATE TABLE oauth_applications (
    "id" bigint DEFAULT nextval('oauth_applications_id_seq'::regclass) NOT NULL,
    "confidential" boolean DEFAULT true NOT NULL,
    "created_at" timestamp without time zone,
    "name" character varying NOT NULL,
    "owner_id" bigint,
    "owner_type" character varying,
    "redirect_uri" text NOT NULL,
    "scopes" character varying DEFAULT ''::character varying NOT NULL,
    "secret" character varying NOT NULL,
    "superapp" boolean DEFAULT false NOT NULL,
    "uid" character varying NOT NULL,
    "updated_at" timestamp without time zone,
    "website" character varying
);

CREATE TABLE pghero_space_stats (
    "id" bigint DEFAULT nextval('pghero_space_stats_id_seq'::regclass) NOT NULL,
    "captured_at" timestamp without time zone,
    "database" text,
    "relation" text,
    "schema" text,
    "size" bigint
);

CREATE TABLE poll_votes (
    "id" bigint DEFAULT nextval('poll_votes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "choice" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "poll_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE polls (
    "id" bigint DEFAULT nextval('polls_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "cached_tallies" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "hide_totals" boolean DEFAULT false NOT NULL,
    "last_fetched_at" timestamp without time zone,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "multiple" boolean DEFAULT false NOT NULL,
    "options" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "voters_count" bigint,
    "votes_count" bigint DEFAULT 0 NOT NULL
);

CREATE TABLE preview_card_providers (
    "id" bigint DEFAULT nextval('preview_card_providers_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "icon_content_type" character varying,
    "icon_file_name" character varying,
    "icon_file_size" bigint,
    "icon_updated_at" timestamp without time zone,
    "requested_review_at" timestamp without time zone,
    "reviewed_at" timestamp without time zone,
    "trendable" boolean,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE preview_card_trends (
    "id" bigint DEFAULT nextval('preview_card_trends_id_seq'::regclass) NOT NULL,
    "allowed" boolean DEFAULT false NOT NULL,
    "language" character varying,
    "preview_card_id" bigint NOT NULL,
    "rank" integer DEFAULT 0 NOT NULL,
    "score" double precision DEFAULT 0.0 NOT NULL
);

CREATE TABLE preview_cards (
    "id" bigint DEFAULT nextval('preview_cards_id_seq'::regclass) NOT NULL,
    "author_account_id" bigint,
    "author_name" character varying DEFAULT ''::character varying NOT NULL,
    "author_url" character varying DEFAULT ''::character varying NOT NULL,
    "blurhash" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "description" character varying DEFAULT ''::character varying NOT NULL,
    "embed_url" character varying DEFAULT ''::character varying NOT NULL,
    "height" integer DEFAULT 0 NOT NULL,
    "html" text DEFAULT ''::text NOT NULL,
    "image_content_type" character varying,
    "image_description" character varying DEFAULT ''::character varying NOT NULL,
    "image_file_name" character varying,
    "image_file_size" integer,
    "image_storage_schema_version" integer,
    "image_updated_at" timestamp without time zone,
    "language" character varying,
    "link_type" integer,
    "max_score" double precision,
    "max_score_at" timestamp without time zone,
    "provider_name" character varying DEFAULT ''::character varying NOT NULL,
    "provider_url" character varying DEFAULT ''::character varying NOT NULL,
    "published_at" timestamp(6) without time zone,
    "title" character varying DEFAULT ''::character varying NOT NULL,
    "trendable" boolean,
    "type" integer DEFAULT 0 NOT NULL,
    "unverified_author_account_id" bigint,
    "updated_at" timestamp without time zone NOT NULL,
    "url" character varying DEFAULT ''::character varying NOT NULL,
    "width" integer DEFAULT 0 NOT NULL
);

CREATE TABLE preview_cards_statuses (
    "preview_card_id" bigint NOT NULL,
    "status_id" bigint NOT NULL,
    "url" character varying
);

CREATE TABLE quotes (
    "id" bigint DEFAULT timestamp_id('quotes'::text) NOT NULL,
    "account_id" bigint NOT NULL,
    "activity_uri" character varying,
    "approval_uri" character varying,
    "created_at" timestamp(6) without time zone NOT NULL,
    "legacy" boolean DEFAULT false NOT NULL,
    "quoted_account_id" bigint,
    "quoted_status_id" bigint,
    "state" integer DEFAULT 0 NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE relationship_severance_events (
    "id" bigint DEFAULT nextval('relationship_severance_events_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "purged" boolean DEFAULT false NOT NULL,
    "target_name" character varying NOT NULL,
    "type" integer NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE relays (
    "id" bigint DEFAULT nextval('relays_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "follow_activity_id" character varying,
    "inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "state" integer DEFAULT 0 NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE report_notes (
    "id" bigint DEFAULT nextval('report_notes_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "content" text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "report_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE reports (
    "id" bigint DEFAULT nextval('reports_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "action_taken_at" timestamp without time zone,
    "action_taken_by_account_id" bigint,
    "application_id" bigint,
    "assigned_account_id" bigint,
    "category" integer DEFAULT 0 NOT NULL,
    "comment" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "forwarded" boolean,
    "rule_ids" bigint[],
    "status_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "target_account_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE rule_translations (
    "id" bigint DEFAULT nextval('rule_translations_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "hint" text DEFAULT ''::text NOT NULL,
    "language" character varying NOT NULL,
    "rule_id" bigint NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE rules (
    "id" bigint DEFAULT nextval('rules_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "deleted_at" timestamp without time zone,
    "hint" text DEFAULT ''::text NOT NULL,
    "priority" integer DEFAULT 0 NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE scheduled_statuses (
    "id" bigint DEFAULT nextval('scheduled_statuses_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "params" jsonb,
    "scheduled_at" timestamp without time zone
);

CREATE TABLE schema_migrations (
    "version" character varying NOT NULL
);

CREATE TABLE session_activations (
    "id" bigint DEFAULT nextval('session_activations_id_seq'::regclass) NOT NULL,
    "access_token_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "ip" inet,
    "session_id" character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_agent" character varying DEFAULT ''::character varying NOT NULL,
    "user_id" bigint NOT NULL,
    "web_push_subscription_id" bigint
);

CREATE TABLE settings (
    "id" bigint DEFAULT nextval('settings_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone,
    "updated_at" timestamp without time zone,
    "value" text,
    "var" character varying NOT NULL
);

CREATE TABLE severed_relationships (
    "id" bigint DEFAULT nextval('severed_relationships_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "direction" integer NOT NULL,
    "languages" character varying[],
    "local_account_id" bigint NOT NULL,
    "notify" boolean,
    "relationship_severance_event_id" bigint NOT NULL,
    "remote_account_id" bigint NOT NULL,
    "show_reblogs" boolean,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE site_uploads (
    "id" bigint DEFAULT nextval('site_uploads_id_seq'::regclass) NOT NULL,
    "blurhash" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "file_content_type" character varying,
    "file_file_name" character varying,
    "file_file_size" integer,
    "file_updated_at" timestamp without time zone,
    "meta" json,
    "updated_at" timestamp without time zone NOT NULL,
    "var" character varying DEFAULT ''::character varying NOT NULL
);

CREATE TABLE software_updates (
    "id" bigint DEFAULT nextval('software_updates_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "release_notes" character varying DEFAULT ''::character varying NOT NULL,
    "type" integer DEFAULT 0 NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "urgent" boolean DEFAULT false NOT NULL,
    "version" character varying NOT NULL
);

CREATE TABLE status_edits (
    "id" bigint DEFAULT nextval('status_edits_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "created_at" timestamp(6) without time zone NOT NULL,
    "media_descriptions" text[],
    "ordered_media_attachment_ids" bigint[],
    "poll_options" character varying[],
    "quote_id" bigint,
    "sensitive" boolean,
    "spoiler_text" text DEFAULT ''::text NOT NULL,
    "status_id" bigint NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE status_pins (
    "id" bigint DEFAULT nextval('status_pins_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE status_stats (
    "id" bigint DEFAULT nextval('status_stats_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "favourites_count" bigint DEFAULT 0 NOT NULL,
    "quotes_count" bigint DEFAULT 0 NOT NULL,
    "reblogs_count" bigint DEFAULT 0 NOT NULL,
    "replies_count" bigint DEFAULT 0 NOT NULL,
    "status_id" bigint NOT NULL,
    "untrusted_favourites_count" bigint,
    "untrusted_reblogs_count" bigint,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE status_trends (
    "id" bigint DEFAULT nextval('status_trends_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "allowed" boolean DEFAULT false NOT NULL,
    "language" character varying,
    "rank" integer DEFAULT 0 NOT NULL,
    "score" double precision DEFAULT 0.0 NOT NULL,
    "status_id" bigint NOT NULL
);

CREATE TABLE statuses (
    "id" bigint DEFAULT timestamp_id('statuses'::text) NOT NULL,
    "account_id" bigint NOT NULL,
    "application_id" bigint,
    "conversation_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "deleted_at" timestamp without time zone,
    "edited_at" timestamp without time zone,
    "fetched_replies_at" timestamp(6) without time zone,
    "in_reply_to_account_id" bigint,
    "in_reply_to_id" bigint,
    "language" character varying,
    "local" boolean,
    "ordered_media_attachment_ids" bigint[],
    "poll_id" bigint,
    "quote_approval_policy" integer DEFAULT 0 NOT NULL,
    "reblog_of_id" bigint,
    "reply" boolean DEFAULT false NOT NULL,
    "sensitive" boolean DEFAULT false NOT NULL,
    "spoiler_text" text DEFAULT ''::text NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "trendable" boolean,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying,
    "url" character varying,
    "visibility" integer DEFAULT 0 NOT NULL
);

CREATE TABLE statuses_tags (
    "status_id" bigint NOT NULL,
    "tag_id" bigint NOT NULL
);

CREATE TABLE tag_follows (
    "id" bigint DEFAULT nextval('tag_follows_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "tag_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE tag_trends (
    "id" bigint DEFAULT nextval('tag_trends_id_seq'::regclass) NOT NULL,
    "allowed" boolean DEFAULT false NOT NULL,
    "language" character varying DEFAULT ''::character varying NOT NULL,
    "rank" integer DEFAULT 0 NOT NULL,
    "score" double precision DEFAULT 0.0 NOT NULL,
    "tag_id" bigint NOT NULL
);

CREATE TABLE tagged_objects (
    "id" bigint DEFAULT nextval('tagged_objects_id_seq'::regclass) NOT NULL,
    "ap_type" character varying NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "object_id" bigint,
    "object_type" character varying,
    "status_id" bigint NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE tags (
    "id" bigint DEFAULT nextval('tags_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "display_name" character varying,
    "last_status_at" timestamp without time zone,
    "listable" boolean,
    "max_score" double precision,
    "max_score_at" timestamp without time zone,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "requested_review_at" timestamp without time zone,
    "reviewed_at" timestamp without time zone,
    "trendable" boolean,
    "updated_at" timestamp without time zone NOT NULL,
    "usable" boolean
);

CREATE TABLE terms_of_services (
    "id" bigint DEFAULT nextval('terms_of_services_id_seq'::regclass) NOT NULL,
    "changelog" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "effective_date" date,
    "notification_sent_at" timestamp(6) without time zone,
    "published_at" timestamp(6) without time zone,
    "text" text DEFAULT ''::text NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE tombstones (
    "id" bigint DEFAULT nextval('tombstones_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "by_moderator" boolean,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying NOT NULL
);

CREATE TABLE unavailable_domains (
    "id" bigint DEFAULT nextval('unavailable_domains_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE user_invite_requests (
    "id" bigint DEFAULT nextval('user_invite_requests_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "text" text,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL
);

CREATE TABLE user_roles (
    "id" bigint DEFAULT nextval('user_roles_id_seq'::regclass) NOT NULL,
    "collection_limit" integer DEFAULT 10 NOT NULL,
    "color" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "highlighted" boolean DEFAULT false NOT NULL,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "permissions" bigint DEFAULT 0 NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    "require_2fa" boolean DEFAULT false NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE username_blocks (
    "id" bigint DEFAULT nextval('username_blocks_id_seq'::regclass) NOT NULL,
    "allow_with_approval" boolean DEFAULT false NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "exact" boolean DEFAULT false NOT NULL,
    "normalized_username" character varying NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "username" character varying NOT NULL
);

CREATE TABLE users (
    "id" bigint DEFAULT nextval('users_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "age_verified_at" timestamp(6) without time zone,
    "approved" boolean DEFAULT true NOT NULL,
    "chosen_languages" character varying[],
    "confirmation_sent_at" timestamp without time zone,
    "confirmation_token" character varying,
    "confirmed_at" timestamp without time zone,
    "consumed_timestep" integer,
    "created_at" timestamp without time zone NOT NULL,
    "created_by_application_id" bigint,
    "current_sign_in_at" timestamp without time zone,
    "disabled" boolean DEFAULT false NOT NULL,
    "email" character varying DEFAULT ''::character varying NOT NULL,
    "encrypted_password" character varying DEFAULT ''::character varying NOT NULL,
    "invite_id" bigint,
    "last_emailed_at" timestamp without time zone,
    "last_sign_in_at" timestamp without time zone,
    "locale" character varying,
    "otp_backup_codes" character varying[],
    "otp_required_for_login" boolean DEFAULT false NOT NULL,
    "otp_secret" character varying,
    "require_tos_interstitial" boolean DEFAULT false NOT NULL,
    "reset_password_sent_at" timestamp without time zone,
    "reset_password_token" character varying,
    "role_id" bigint,
    "settings" text,
    "sign_in_count" integer DEFAULT 0 NOT NULL,
    "sign_in_token" character varying,
    "sign_in_token_sent_at" timestamp without time zone,
    "sign_up_ip" inet,
    "skip_sign_in_token" boolean,
    "time_zone" character varying,
    "unconfirmed_email" character varying,
    "updated_at" timestamp without time zone NOT NULL,
    "webauthn_id" character varying
);

CREATE TABLE web_push_subscriptions (
    "id" bigint DEFAULT nextval('web_push_subscriptions_id_seq'::regclass) NOT NULL,
    "access_token_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "data" json,
    "endpoint" character varying NOT NULL,
    "key_auth" character varying NOT NULL,
    "key_p256dh" character varying NOT NULL,
    "standard" boolean DEFAULT false NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL
);

CREATE TABLE web_settings (
    "id" bigint DEFAULT nextval('web_settings_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "data" json,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL
);

CREATE TABLE webauthn_credentials (
    "id" bigint DEFAULT nextval('webauthn_credentials_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "external_id" character varying NOT NULL,
    "nickname" character varying NOT NULL,
    "public_key" character varying NOT NULL,
    "sign_count" bigint DEFAULT 0 NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint
);

CREATE TABLE webhooks (
    "id" bigint DEFAULT nextval('webhooks_id_seq'::regclass) NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "enabled" boolean DEFAULT true NOT NULL,
    "events" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "secret" character varying DEFAULT ''::character varying NOT NULL,
    "template" text,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "url" character varying NOT NULL
);

ALTER SEQUENCE account_aliases_id_seq OWNED BY account_aliases.id;
ALTER SEQUENCE account_conversations_id_seq OWNED BY account_conversations.id;
ALTER SEQUENCE account_deletion_requests_id_seq OWNED BY account_deletion_requests.id;
ALTER SEQUENCE account_domain_blocks_id_seq OWNED BY account_domain_blocks.id;
ALTER SEQUENCE account_migrations_id_seq OWNED BY account_migrations.id;
ALTER SEQUENCE account_moderation_notes_id_seq OWNED BY account_moderation_notes.id;
ALTER SEQUENCE account_notes_id_seq OWNED BY account_notes.id;
ALTER SEQUENCE account_pins_id_seq OWNED BY account_pins.id;
ALTER SEQUENCE account_relationship_severance_events_id_seq OWNED BY account_relationship_severance_events.id;
ALTER SEQUENCE account_stats_id_seq OWNED BY account_stats.id;
ALTER SEQUENCE account_statuses_cleanup_policies_id_seq OWNED BY account_statuses_cleanup_policies.id;
ALTER SEQUENCE account_warning_presets_id_seq OWNED BY account_warning_presets.id;
ALTER SEQUENCE account_warnings_id_seq OWNED BY account_warnings.id;
ALTER SEQUENCE admin_action_logs_id_seq OWNED BY admin_action_logs.id;
ALTER SEQUENCE announcement_mutes_id_seq OWNED BY announcement_mutes.id;
ALTER SEQUENCE announcement_reactions_id_seq OWNED BY announcement_reactions.id;
ALTER SEQUENCE announcements_id_seq OWNED BY announcements.id;
ALTER SEQUENCE annual_report_statuses_per_account_counts_id_seq OWNED BY annual_report_statuses_per_account_counts.id;
ALTER SEQUENCE appeals_id_seq OWNED BY appeals.id;
ALTER SEQUENCE backups_id_seq OWNED BY backups.id;
ALTER SEQUENCE blocks_id_seq OWNED BY blocks.id;
ALTER SEQUENCE bookmarks_id_seq OWNED BY bookmarks.id;
ALTER SEQUENCE bulk_import_rows_id_seq OWNED BY bulk_import_rows.id;
ALTER SEQUENCE bulk_imports_id_seq OWNED BY bulk_imports.id;
ALTER SEQUENCE canonical_email_blocks_id_seq OWNED BY canonical_email_blocks.id;
ALTER SEQUENCE collection_reports_id_seq OWNED BY collection_reports.id;
ALTER SEQUENCE conversation_mutes_id_seq OWNED BY conversation_mutes.id;
ALTER SEQUENCE conversations_id_seq OWNED BY conversations.id;
ALTER SEQUENCE custom_emoji_categories_id_seq OWNED BY custom_emoji_categories.id;
ALTER SEQUENCE custom_emojis_id_seq OWNED BY custom_emojis.id;
ALTER SEQUENCE custom_filter_keywords_id_seq OWNED BY custom_filter_keywords.id;
ALTER SEQUENCE custom_filter_statuses_id_seq OWNED BY custom_filter_statuses.id;
ALTER SEQUENCE custom_filters_id_seq OWNED BY custom_filters.id;
ALTER SEQUENCE domain_allows_id_seq OWNED BY domain_allows.id;
ALTER SEQUENCE domain_blocks_id_seq OWNED BY domain_blocks.id;
ALTER SEQUENCE email_domain_blocks_id_seq OWNED BY email_domain_blocks.id;
ALTER SEQUENCE email_subscriptions_id_seq OWNED BY email_subscriptions.id;
ALTER SEQUENCE fasp_backfill_requests_id_seq OWNED BY fasp_backfill_requests.id;
ALTER SEQUENCE fasp_debug_callbacks_id_seq OWNED BY fasp_debug_callbacks.id;
ALTER SEQUENCE fasp_follow_recommendations_id_seq OWNED BY fasp_follow_recommendations.id;
ALTER SEQUENCE fasp_providers_id_seq OWNED BY fasp_providers.id;
ALTER SEQUENCE fasp_subscriptions_id_seq OWNED BY fasp_subscriptions.id;
ALTER SEQUENCE favourites_id_seq OWNED BY favourites.id;
ALTER SEQUENCE featured_tags_id_seq OWNED BY featured_tags.id;
ALTER SEQUENCE follow_recommendation_mutes_id_seq OWNED BY follow_recommendation_mutes.id;
ALTER SEQUENCE follow_recommendation_suppressions_id_seq OWNED BY follow_recommendation_suppressions.id;
ALTER SEQUENCE follow_requests_id_seq OWNED BY follow_requests.id;
ALTER SEQUENCE follows_id_seq OWNED BY follows.id;
ALTER SEQUENCE generated_annual_reports_id_seq OWNED BY generated_annual_reports.id;
ALTER SEQUENCE identities_id_seq OWNED BY identities.id;
ALTER SEQUENCE instance_moderation_notes_id_seq OWNED BY instance_moderation_notes.id;
ALTER SEQUENCE invites_id_seq OWNED BY invites.id;
ALTER SEQUENCE ip_blocks_id_seq OWNED BY ip_blocks.id;
ALTER SEQUENCE keypairs_id_seq OWNED BY keypairs.id;
ALTER SEQUENCE list_accounts_id_seq OWNED BY list_accounts.id;
ALTER SEQUENCE lists_id_seq OWNED BY lists.id;
ALTER SEQUENCE login_activities_id_seq OWNED BY login_activities.id;
ALTER SEQUENCE markers_id_seq OWNED BY markers.id;
ALTER SEQUENCE mentions_id_seq OWNED BY mentions.id;
ALTER SEQUENCE mutes_id_seq OWNED BY mutes.id;
ALTER SEQUENCE notification_permissions_id_seq OWNED BY notification_permissions.id;
ALTER SEQUENCE notification_policies_id_seq OWNED BY notification_policies.id;
ALTER SEQUENCE notifications_id_seq OWNED BY notifications.id;
ALTER SEQUENCE oauth_access_grants_id_seq OWNED BY oauth_access_grants.id;
ALTER SEQUENCE oauth_access_tokens_id_seq OWNED BY oauth_access_tokens.id;
ALTER SEQUENCE oauth_applications_id_seq OWNED BY oauth_applications.id;
ALTER SEQUENCE pghero_space_stats_id_seq OWNED BY pghero_space_stats.id;
ALTER SEQUENCE poll_votes_id_seq OWNED BY poll_votes.id;
ALTER SEQUENCE polls_id_seq OWNED BY polls.id;
ALTER SEQUENCE preview_card_providers_id_seq OWNED BY preview_card_providers.id;
ALTER SEQUENCE preview_card_trends_id_seq OWNED BY preview_card_trends.id;
ALTER SEQUENCE preview_cards_id_seq OWNED BY preview_cards.id;
ALTER SEQUENCE relationship_severance_events_id_seq OWNED BY relationship_severance_events.id;
ALTER SEQUENCE relays_id_seq OWNED BY relays.id;
ALTER SEQUENCE report_notes_id_seq OWNED BY report_notes.id;
ALTER SEQUENCE reports_id_seq OWNED BY reports.id;
ALTER SEQUENCE rule_translations_id_seq OWNED BY rule_translations.id;
ALTER SEQUENCE rules_id_seq OWNED BY rules.id;
ALTER SEQUENCE scheduled_statuses_id_seq OWNED BY scheduled_statuses.id;
ALTER SEQUENCE session_activations_id_seq OWNED BY session_activations.id;
ALTER SEQUENCE settings_id_seq OWNED BY settings.id;
ALTER SEQUENCE severed_relationships_id_seq OWNED BY severed_relationships.id;
ALTER SEQUENCE site_uploads_id_seq OWNED BY site_uploads.id;
ALTER SEQUENCE software_updates_id_seq OWNED BY software_updates.id;
ALTER SEQUENCE status_edits_id_seq OWNED BY status_edits.id;
ALTER SEQUENCE status_pins_id_seq OWNED BY status_pins.id;
ALTER SEQUENCE status_stats_id_seq OWNED BY status_stats.id;
ALTER SEQUENCE status_trends_id_seq OWNED BY status_trends.id;
ALTER SEQUENCE tag_follows_id_seq OWNED BY tag_follows.id;
ALTER SEQUENCE tag_trends_id_seq OWNED BY tag_trends.id;
ALTER SEQUENCE tagged_objects_id_seq OWNED BY tagged_objects.id;
ALTER SEQUENCE tags_id_seq OWNED BY tags.id;
ALTER SEQUENCE terms_of_services_id_seq OWNED BY terms_of_services.id;
ALTER SEQUENCE tombstones_id_seq OWNED BY tombstones.id;
ALTER SEQUENCE unavailable_domains_id_seq OWNED BY unavailable_domains.id;
ALTER SEQUENCE user_invite_requests_id_seq OWNED BY user_invite_requests.id;
ALTER SEQUENCE user_roles_id_seq OWNED BY user_roles.id;
ALTER SEQUENCE username_blocks_id_seq OWNED BY username_blocks.id;
ALTER SEQUENCE users_id_seq OWNED BY users.id;
ALTER SEQUENCE web_push_subscriptions_id_seq OWNED BY web_push_subscriptions.id;
ALTER SEQUENCE web_settings_id_seq OWNED BY web_settings.id;
ALTER SEQUENCE webauthn_credentials_id_seq OWNED BY webauthn_credentials.id;
ALTER SEQUENCE webhooks_id_seq OWNED BY webhooks.id;

INSERT INTO schema_migrations (version) VALUES
    ('20191001213028'),
    ('20221206114142'),
    ('20231023105620'),
    ('20240307180905'),
    ('20260611150940');
INSERT INTO ar_internal_metadata (key, value, created_at, updated_at)
VALUES ('environment', 'production', '2024-11-02 10:00:00', '2024-11-02 10:00:00');
