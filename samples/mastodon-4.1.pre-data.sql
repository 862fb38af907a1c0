-- The schema of Mastodon 4.1: function, sequences and tables.
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
CREATE SEQUENCE account_stats_id_seq;
CREATE SEQUENCE account_statuses_cleanup_policies_id_seq;
CREATE SEQUENCE account_warning_presets_id_seq;
CREATE SEQUENCE account_warnings_id_seq;
CREATE SEQUENCE accounts_id_seq;
CREATE SEQUENCE admin_action_logs_id_seq;
CREATE SEQUENCE announcement_mutes_id_seq;
CREATE SEQUENCE announcement_reactions_id_seq;
CREATE SEQUENCE announcements_id_seq;
CREATE SEQUENCE appeals_id_seq;
CREATE SEQUENCE backups_id_seq;
CREATE SEQUENCE blocks_id_seq;
CREATE SEQUENCE bookmarks_id_seq;
CREATE SEQUENCE canonical_email_blocks_id_seq;
CREATE SEQUENCE conversation_mutes_id_seq;
CREATE SEQUENCE conversations_id_seq;
CREATE SEQUENCE custom_emoji_categories_id_seq;
CREATE SEQUENCE custom_emojis_id_seq;
CREATE SEQUENCE custom_filter_keywords_id_seq;
CREATE SEQUENCE custom_filter_statuses_id_seq;
CREATE SEQUENCE custom_filters_id_seq;
CREATE SEQUENCE devices_id_seq;
CREATE SEQUENCE domain_allows_id_seq;
CREATE SEQUENCE domain_blocks_id_seq;
CREATE SEQUENCE email_domain_blocks_id_seq;
CREATE SEQUENCE encrypted_messages_id_seq;
CREATE SEQUENCE favourites_id_seq;
CREATE SEQUENCE featured_tags_id_seq;
CREATE SEQUENCE follow_recommendation_suppressions_id_seq;
CREATE SEQUENCE follow_requests_id_seq;
CREATE SEQUENCE follows_id_seq;
CREATE SEQUENCE identities_id_seq;
CREATE SEQUENCE imports_id_seq;
CREATE SEQUENCE invites_id_seq;
CREATE SEQUENCE ip_blocks_id_seq;
CREATE SEQUENCE list_accounts_id_seq;
CREATE SEQUENCE lists_id_seq;
CREATE SEQUENCE login_activities_id_seq;
CREATE SEQUENCE markers_id_seq;
CREATE SEQUENCE media_attachments_id_seq;
CREATE SEQUENCE mentions_id_seq;
CREATE SEQUENCE mutes_id_seq;
CREATE SEQUENCE notifications_id_seq;
CREATE SEQUENCE oauth_access_grants_id_seq;
CREATE SEQUENCE oauth_access_tokens_id_seq;
CREATE SEQUENCE oauth_applications_id_seq;
CREATE SEQUENCE one_time_keys_id_seq;
CREATE SEQUENCE pghero_space_stats_id_seq;
CREATE SEQUENCE poll_votes_id_seq;
CREATE SEQUENCE polls_id_seq;
CREATE SEQUENCE preview_card_providers_id_seq;
CREATE SEQUENCE preview_card_trends_id_seq;
CREATE SEQUENCE preview_cards_id_seq;
CREATE SEQUENCE relays_id_seq;
CREATE SEQUENCE report_notes_id_seq;
CREATE SEQUENCE reports_id_seq;
CREATE SEQUENCE rules_id_seq;
CREATE SEQUENCE scheduled_statuses_id_seq;
CREATE SEQUENCE session_activations_id_seq;
CREATE SEQUENCE settings_id_seq;
CREATE SEQUENCE site_uploads_id_seq;
CREATE SEQUENCE status_edits_id_seq;
CREATE SEQUENCE status_pins_id_seq;
CREATE SEQUENCE status_stats_id_seq;
CREATE SEQUENCE status_trends_id_seq;
CREATE SEQUENCE statuses_id_seq;
CREATE SEQUENCE system_keys_id_seq;
CREATE SEQUENCE tag_follows_id_seq;
CREATE SEQUENCE tags_id_seq;
CREATE SEQUENCE tombstones_id_seq;
CREATE SEQUENCE unavailable_domains_id_seq;
CREATE SEQUENCE user_invite_requests_id_seq;
CREATE SEQUENCE user_roles_id_seq;
CREATE SEQUENCE users_id_seq;
CREATE SEQUENCE web_push_subscriptions_id_seq;
CREATE SEQUENCE web_settings_id_seq;
CREATE SEQUENCE webauthn_credentials_id_seq;
CREATE SEQUENCE webhooks_id_seq;

CREATE TABLE account_aliases (
    "id" bigint DEFAULT nextval('account_aliases_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "acct" character varying DEFAULT ''::character varying NOT NULL,
    "uri" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_conversations (
    "id" bigint DEFAULT nextval('account_conversations_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "conversation_id" bigint,
    "participant_account_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "status_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "last_status_id" bigint,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "unread" boolean DEFAULT false NOT NULL
);

CREATE TABLE account_deletion_requests (
    "id" bigint DEFAULT nextval('account_deletion_requests_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_domain_blocks (
    "id" bigint DEFAULT nextval('account_domain_blocks_id_seq'::regclass) NOT NULL,
    "domain" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint
);

CREATE TABLE account_migrations (
    "id" bigint DEFAULT nextval('account_migrations_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "acct" character varying DEFAULT ''::character varying NOT NULL,
    "followers_count" bigint DEFAULT 0 NOT NULL,
    "target_account_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_moderation_notes (
    "id" bigint DEFAULT nextval('account_moderation_notes_id_seq'::regclass) NOT NULL,
    "content" text NOT NULL,
    "account_id" bigint NOT NULL,
    "target_account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_notes (
    "id" bigint DEFAULT nextval('account_notes_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "target_account_id" bigint,
    "comment" text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_pins (
    "id" bigint DEFAULT nextval('account_pins_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "target_account_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE account_stats (
    "id" bigint DEFAULT nextval('account_stats_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "statuses_count" bigint DEFAULT 0 NOT NULL,
    "following_count" bigint DEFAULT 0 NOT NULL,
    "followers_count" bigint DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "last_status_at" timestamp without time zone
);

CREATE TABLE account_statuses_cleanup_policies (
    "id" bigint DEFAULT nextval('account_statuses_cleanup_policies_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "enabled" boolean DEFAULT true NOT NULL,
    "min_status_age" integer DEFAULT 1209600 NOT NULL,
    "keep_direct" boolean DEFAULT true NOT NULL,
    "keep_pinned" boolean DEFAULT true NOT NULL,
    "keep_polls" boolean DEFAULT false NOT NULL,
    "keep_media" boolean DEFAULT false NOT NULL,
    "keep_self_fav" boolean DEFAULT true NOT NULL,
    "keep_self_bookmark" boolean DEFAULT true NOT NULL,
    "min_favs" integer,
    "min_reblogs" integer,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE account_warning_presets (
    "id" bigint DEFAULT nextval('account_warning_presets_id_seq'::regclass) NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "title" character varying DEFAULT ''::character varying NOT NULL
);

CREATE TABLE account_warnings (
    "id" bigint DEFAULT nextval('account_warnings_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "target_account_id" bigint,
    "action" integer DEFAULT 0 NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "report_id" bigint,
    "status_ids" character varying[],
    "overruled_at" timestamp without time zone
);

CREATE TABLE accounts (
    "id" bigint DEFAULT timestamp_id('accounts'::text) NOT NULL,
    "username" character varying DEFAULT ''::character varying NOT NULL,
    "domain" character varying,
    "private_key" text,
    "public_key" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "note" text DEFAULT ''::text NOT NULL,
    "display_name" character varying DEFAULT ''::character varying NOT NULL,
    "uri" character varying DEFAULT ''::character varying NOT NULL,
    "url" character varying,
    "avatar_file_name" character varying,
    "avatar_content_type" character varying,
    "avatar_file_size" integer,
    "avatar_updated_at" timestamp without time zone,
    "header_file_name" character varying,
    "header_content_type" character varying,
    "header_file_size" integer,
    "header_updated_at" timestamp without time zone,
    "avatar_remote_url" character varying,
    "locked" boolean DEFAULT false NOT NULL,
    "header_remote_url" character varying DEFAULT ''::character varying NOT NULL,
    "last_webfingered_at" timestamp without time zone,
    "inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "outbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "shared_inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "followers_url" character varying DEFAULT ''::character varying NOT NULL,
    "protocol" integer DEFAULT 0 NOT NULL,
    "memorial" boolean DEFAULT false NOT NULL,
    "moved_to_account_id" bigint,
    "featured_collection_url" character varying,
    "fields" jsonb,
    "actor_type" character varying,
    "discoverable" boolean,
    "also_known_as" character varying[],
    "silenced_at" timestamp without time zone,
    "suspended_at" timestamp without time zone,
    "hide_collections" boolean,
    "avatar_storage_schema_version" integer,
    "header_storage_schema_version" integer,
    "devices_url" character varying,
    "suspension_origin" integer,
    "sensitized_at" timestamp without time zone,
    "trendable" boolean,
    "reviewed_at" timestamp without time zone,
    "requested_review_at" timestamp without time zone
);

CREATE TABLE accounts_tags (
    "account_id" bigint NOT NULL,
    "tag_id" bigint NOT NULL
);

CREATE TABLE admin_action_logs (
    "id" bigint DEFAULT nextval('admin_action_logs_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "action" character varying DEFAULT ''::character varying NOT NULL,
    "target_type" character varying,
    "target_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "human_identifier" character varying,
    "route_param" character varying,
    "permalink" character varying
);

CREATE TABLE announcement_mutes (
    "id" bigint DEFAULT nextval('announcement_mutes_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "announcement_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE announcement_reactions (
    "id" bigint DEFAULT nextval('announcement_reactions_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "announcement_id" bigint,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "custom_emoji_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE announcements (
    "id" bigint DEFAULT nextval('announcements_id_seq'::regclass) NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "published" boolean DEFAULT false NOT NULL,
    "all_day" boolean DEFAULT false NOT NULL,
    "scheduled_at" timestamp without time zone,
    "starts_at" timestamp without time zone,
    "ends_at" timestamp without time zone,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "published_at" timestamp without time zone,
    "status_ids" bigint[]
);

CREATE TABLE appeals (
    "id" bigint DEFAULT nextval('appeals_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "account_warning_id" bigint NOT NULL,
    "text" text DEFAULT ''::text NOT NULL,
    "approved_at" timestamp without time zone,
    "approved_by_account_id" bigint,
    "rejected_at" timestamp without time zone,
    "rejected_by_account_id" bigint,
    "created_at" timestamp(6) without time zone NOT NULL,
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
    "user_id" bigint,
    "dump_file_name" character varying,
    "dump_content_type" character varying,
    "dump_updated_at" timestamp without time zone,
    "processed" boolean DEFAULT false NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "dump_file_size" bigint
);

CREATE TABLE blocks (
    "id" bigint DEFAULT nextval('blocks_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "target_account_id" bigint NOT NULL,
    "uri" character varying
);

CREATE TABLE bookmarks (
    "id" bigint DEFAULT nextval('bookmarks_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "status_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE canonical_email_blocks (
    "id" bigint DEFAULT nextval('canonical_email_blocks_id_seq'::regclass) NOT NULL,
    "canonical_email_hash" character varying DEFAULT ''::character varying NOT NULL,
    "reference_account_id" bigint,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE conversation_mutes (
    "id" bigint DEFAULT nextval('conversation_mutes_id_seq'::regclass) NOT NULL,
    "conversation_id" bigint NOT NULL,
    "account_id" bigint NOT NULL
);

CREATE TABLE conversations (
    "id" bigint DEFAULT nextval('conversations_id_seq'::regclass) NOT NULL,
    "uri" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE custom_emoji_categories (
    "id" bigint DEFAULT nextval('custom_emoji_categories_id_seq'::regclass) NOT NULL,
    "name" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE custom_emojis (
    "id" bigint DEFAULT nextval('custom_emojis_id_seq'::regclass) NOT NULL,
    "shortcode" character varying DEFAULT ''::character varying NOT NULL,
    "domain" character varying,
    "image_file_name" character varying,
    "image_content_type" character varying,
    "image_file_size" integer,
    "image_updated_at" timestamp without time zone,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "disabled" boolean DEFAULT false NOT NULL,
    "uri" character varying,
    "image_remote_url" character varying,
    "visible_in_picker" boolean DEFAULT true NOT NULL,
    "category_id" bigint,
    "image_storage_schema_version" integer
);

CREATE TABLE custom_filter_keywords (
    "id" bigint DEFAULT nextval('custom_filter_keywords_id_seq'::regclass) NOT NULL,
    "custom_filter_id" bigint NOT NULL,
    "keyword" text DEFAULT ''::text NOT NULL,
    "whole_word" boolean DEFAULT true NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE custom_filter_statuses (
    "id" bigint DEFAULT nextval('custom_filter_statuses_id_seq'::regclass) NOT NULL,
    "custom_filter_id" bigint NOT NULL,
    "status_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE custom_filters (
    "id" bigint DEFAULT nextval('custom_filters_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "expires_at" timestamp without time zone,
    "phrase" text DEFAULT ''::text NOT NULL,
    "context" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "action" integer DEFAULT 0 NOT NULL
);

CREATE TABLE devices (
    "id" bigint DEFAULT nextval('devices_id_seq'::regclass) NOT NULL,
    "access_token_id" bigint,
    "account_id" bigint,
    "device_id" character varying DEFAULT ''::character varying NOT NULL,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "fingerprint_key" text DEFAULT ''::text NOT NULL,
    "identity_key" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE domain_allows (
    "id" bigint DEFAULT nextval('domain_allows_id_seq'::regclass) NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE domain_blocks (
    "id" bigint DEFAULT nextval('domain_blocks_id_seq'::regclass) NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "severity" integer DEFAULT 0,
    "reject_media" boolean DEFAULT false NOT NULL,
    "reject_reports" boolean DEFAULT false NOT NULL,
    "private_comment" text,
    "public_comment" text,
    "obfuscate" boolean DEFAULT false NOT NULL
);

CREATE TABLE email_domain_blocks (
    "id" bigint DEFAULT nextval('email_domain_blocks_id_seq'::regclass) NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "parent_id" bigint
);

CREATE TABLE encrypted_messages (
    "id" bigint DEFAULT timestamp_id('encrypted_messages'::text) NOT NULL,
    "device_id" bigint,
    "from_account_id" bigint,
    "from_device_id" character varying DEFAULT ''::character varying NOT NULL,
    "type" integer DEFAULT 0 NOT NULL,
    "body" text DEFAULT ''::text NOT NULL,
    "digest" text DEFAULT ''::text NOT NULL,
    "message_franking" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE favourites (
    "id" bigint DEFAULT nextval('favourites_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "status_id" bigint NOT NULL
);

CREATE TABLE featured_tags (
    "id" bigint DEFAULT nextval('featured_tags_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "tag_id" bigint NOT NULL,
    "statuses_count" bigint DEFAULT 0 NOT NULL,
    "last_status_at" timestamp without time zone,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "name" character varying
);

CREATE TABLE follow_recommendation_suppressions (
    "id" bigint DEFAULT nextval('follow_recommendation_suppressions_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE follow_requests (
    "id" bigint DEFAULT nextval('follow_requests_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "target_account_id" bigint NOT NULL,
    "show_reblogs" boolean DEFAULT true NOT NULL,
    "uri" character varying,
    "notify" boolean DEFAULT false NOT NULL,
    "languages" character varying[]
);

CREATE TABLE follows (
    "id" bigint DEFAULT nextval('follows_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "target_account_id" bigint NOT NULL,
    "show_reblogs" boolean DEFAULT true NOT NULL,
    "uri" character varying,
    "notify" boolean DEFAULT false NOT NULL,
    "languages" character varying[]
);

CREATE TABLE identities (
    "id" bigint DEFAULT nextval('identities_id_seq'::regclass) NOT NULL,
    "provider" character varying DEFAULT ''::character varying NOT NULL,
    "uid" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint
);

CREATE TABLE imports (
    "id" bigint DEFAULT nextval('imports_id_seq'::regclass) NOT NULL,
    "type" integer NOT NULL,
    "approved" boolean DEFAULT false NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "data_file_name" character varying,
    "data_content_type" character varying,
    "data_file_size" integer,
    "data_updated_at" timestamp without time zone,
    "account_id" bigint NOT NULL,
    "overwrite" boolean DEFAULT false NOT NULL
);

CREATE TABLE invites (
    "id" bigint DEFAULT nextval('invites_id_seq'::regclass) NOT NULL,
    "user_id" bigint NOT NULL,
    "code" character varying DEFAULT ''::character varying NOT NULL,
    "expires_at" timestamp without time zone,
    "max_uses" integer,
    "uses" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "autofollow" boolean DEFAULT false NOT NULL,
    "comment" text
);

CREATE TABLE ip_blocks (
    "id" bigint DEFAULT nextval('ip_blocks_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "expires_at" timestamp without time zone,
    "ip" inet DEFAULT '0.0.0.0'::inet NOT NULL,
    "severity" integer DEFAULT 0 NOT NULL,
    "comment" text DEFAULT ''::text NOT NULL
);

CREATE TABLE list_accounts (
    "id" bigint DEFAULT nextval('list_accounts_id_seq'::regclass) NOT NULL,
    "list_id" bigint NOT NULL,
    "account_id" bigint NOT NULL,
    "follow_id" bigint
);

CREATE TABLE lists (
    "id" bigint DEFAULT nextval('lists_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "title" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "replies_policy" integer DEFAULT 0 NOT NULL
);

CREATE TABLE login_activities (
    "id" bigint DEFAULT nextval('login_activities_id_seq'::regclass) NOT NULL,
    "user_id" bigint NOT NULL,
    "authentication_method" character varying,
    "provider" character varying,
    "success" boolean,
    "failure_reason" character varying,
    "ip" inet,
    "user_agent" character varying,
    "created_at" timestamp without time zone
);

CREATE TABLE markers (
    "id" bigint DEFAULT nextval('markers_id_seq'::regclass) NOT NULL,
    "user_id" bigint,
    "timeline" character varying DEFAULT ''::character varying NOT NULL,
    "last_read_id" bigint DEFAULT 0 NOT NULL,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE media_attachments (
    "id" bigint DEFAULT timestamp_id('media_attachments'::text) NOT NULL,
    "status_id" bigint,
    "file_file_name" character varying,
    "file_content_type" character varying,
    "file_file_size" integer,
    "file_updated_at" timestamp without time zone,
    "remote_url" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "shortcode" character varying,
    "type" integer DEFAULT 0 NOT NULL,
    "file_meta" json,
    "account_id" bigint,
    "description" text,
    "scheduled_status_id" bigint,
    "blurhash" character varying,
    "processing" integer,
    "file_storage_schema_version" integer,
    "thumbnail_file_name" character varying,
    "thumbnail_content_type" character varying,
    "thumbnail_file_size" integer,
    "thumbnail_updated_at" timestamp without time zone,
    "thumbnail_remote_url" character varying
);

CREATE TABLE mentions (
    "id" bigint DEFAULT nextval('mentions_id_seq'::regclass) NOT NULL,
    "status_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint,
    "silent" boolean DEFAULT false NOT NULL
);

CREATE TABLE mutes (
    "id" bigint DEFAULT nextval('mutes_id_seq'::regclass) NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "hide_notifications" boolean DEFAULT true NOT NULL,
    "account_id" bigint NOT NULL,
    "target_account_id" bigint NOT NULL,
    "expires_at" timestamp without time zone
);

CREATE TABLE notifications (
    "id" bigint DEFAULT nextval('notifications_id_seq'::regclass) NOT NULL,
    "activity_id" bigint NOT NULL,
    "activity_type" character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "from_account_id" bigint NOT NULL,
    "type" character varying
);

CREATE TABLE oauth_access_grants (
    "id" bigint DEFAULT nextval('oauth_access_grants_id_seq'::regclass) NOT NULL,
    "token" character varying NOT NULL,
    "expires_in" integer NOT NULL,
    "redirect_uri" text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "revoked_at" timestamp without time zone,
    "scopes" character varying,
    "application_id" bigint NOT NULL,
    "resource_owner_id" bigint NOT NULL
);

CREATE TABLE oauth_access_tokens (
    "id" bigint DEFAULT nextval('oauth_access_tokens_id_seq'::regclass) NOT NULL,
    "token" character varying NOT NULL,
    "refresh_token" character varying,
    "expires_in" integer,
    "revoked_at" timestamp without time zone,
    "created_at" timestamp without time zone NOT NULL,
    "scopes" character varying,
    "application_id" bigint,
    "resource_owner_id" bigint,
    "last_used_at" timestamp without time zone,
    "last_used_ip" inet
);

CREATE TABLE oauth_applications (
    "id" bigint DEFAULT nextval('oauth_applications_id_seq'::regclass) NOT NULL,
    "name" character varying NOT NULL,
    "uid" character varying NOT NULL,
    "secret" character varying NOT NULL,
    "redirect_uri" text NOT NULL,
    "scopes" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone,
    "updated_at" timestamp without time zone,
    "superapp" boolean DEFAULT false NOT NULL,
    "website" character varying,
    "owner_type" character varying,
    "owner_id" bigint,
    "confidential" boolean DEFAULT true NOT NULL
);

CREATE TABLE one_time_keys (
    "id" bigint DEFAULT nextval('one_time_keys_id_seq'::regclass) NOT NULL,
    "device_id" bigint,
    "key_id" character varying DEFAULT ''::character varying NOT NULL,
    "key" text DEFAULT ''::text NOT NULL,
    "signature" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE pghero_space_stats (
    "id" bigint DEFAULT nextval('pghero_space_stats_id_seq'::regclass) NOT NULL,
    "database" text,
    "schema" text,
    "relation" text,
    "size" bigint,
    "captured_at" timestamp without time zone
);

CREATE TABLE poll_votes (
    "id" bigint DEFAULT nextval('poll_votes_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "poll_id" bigint,
    "choice" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "uri" character varying
);

CREATE TABLE polls (
    "id" bigint DEFAULT nextval('polls_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "status_id" bigint,
    "expires_at" timestamp without time zone,
    "options" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "cached_tallies" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "multiple" boolean DEFAULT false NOT NULL,
    "hide_totals" boolean DEFAULT false NOT NULL,
    "votes_count" bigint DEFAULT 0 NOT NULL,
    "last_fetched_at" timestamp without time zone,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "lock_version" integer DEFAULT 0 NOT NULL,
    "voters_count" bigint
);

CREATE TABLE preview_card_providers (
    "id" bigint DEFAULT nextval('preview_card_providers_id_seq'::regclass) NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "icon_file_name" character varying,
    "icon_content_type" character varying,
    "icon_file_size" bigint,
    "icon_updated_at" timestamp without time zone,
    "trendable" boolean,
    "reviewed_at" timestamp without time zone,
    "requested_review_at" timestamp without time zone,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE preview_card_trends (
    "id" bigint DEFAULT nextval('preview_card_trends_id_seq'::regclass) NOT NULL,
    "preview_card_id" bigint NOT NULL,
    "score" double precision DEFAULT 0.0 NOT NULL,
    "rank" integer DEFAULT 0 NOT NULL,
    "allowed" boolean DEFAULT false NOT NULL,
    "language" character varying
);

CREATE TABLE preview_cards (
    "id" bigint DEFAULT nextval('preview_cards_id_seq'::regclass) NOT NULL,
    "url" character varying DEFAULT ''::character varying NOT NULL,
    "title" character varying DEFAULT ''::character varying NOT NULL,
    "description" character varying DEFAULT ''::character varying NOT NULL,
    "image_file_name" character varying,
    "image_content_type" character varying,
    "image_file_size" integer,
    "image_updated_at" timestamp without time zone,
    "type" integer DEFAULT 0 NOT NULL,
    "html" text DEFAULT ''::text NOT NULL,
    "author_name" character varying DEFAULT ''::character varying NOT NULL,
    "author_url" character varying DEFAULT ''::character varying NOT NULL,
    "provider_name" character varying DEFAULT ''::character varying NOT NULL,
    "provider_url" character varying DEFAULT ''::character varying NOT NULL,
    "width" integer DEFAULT 0 NOT NULL,
    "height" integer DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "embed_url" character varying DEFAULT ''::character varying NOT NULL,
    "image_storage_schema_version" integer,
    "blurhash" character varying,
    "language" character varying,
    "max_score" double precision,
    "max_score_at" timestamp without time zone,
    "trendable" boolean,
    "link_type" integer
);

CREATE TABLE preview_cards_statuses (
    "preview_card_id" bigint NOT NULL,
    "status_id" bigint NOT NULL
);

CREATE TABLE relays (
    "id" bigint DEFAULT nextval('relays_id_seq'::regclass) NOT NULL,
    "inbox_url" character varying DEFAULT ''::character varying NOT NULL,
    "follow_activity_id" character varying,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "state" integer DEFAULT 0 NOT NULL
);

CREATE TABLE report_notes (
    "id" bigint DEFAULT nextval('report_notes_id_seq'::regclass) NOT NULL,
    "content" text NOT NULL,
    "report_id" bigint NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE reports (
    "id" bigint DEFAULT nextval('reports_id_seq'::regclass) NOT NULL,
    "status_ids" bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    "comment" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "account_id" bigint NOT NULL,
    "action_taken_by_account_id" bigint,
    "target_account_id" bigint NOT NULL,
    "assigned_account_id" bigint,
    "uri" character varying,
    "forwarded" boolean,
    "category" integer DEFAULT 0 NOT NULL,
    "action_taken_at" timestamp without time zone,
    "rule_ids" bigint[]
);

CREATE TABLE rules (
    "id" bigint DEFAULT nextval('rules_id_seq'::regclass) NOT NULL,
    "priority" integer DEFAULT 0 NOT NULL,
    "deleted_at" timestamp without time zone,
    "text" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE scheduled_statuses (
    "id" bigint DEFAULT nextval('scheduled_statuses_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "scheduled_at" timestamp without time zone,
    "params" jsonb
);

CREATE TABLE schema_migrations (
    "version" character varying NOT NULL
);

CREATE TABLE session_activations (
    "id" bigint DEFAULT nextval('session_activations_id_seq'::regclass) NOT NULL,
    "session_id" character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_agent" character varying DEFAULT ''::character varying NOT NULL,
    "ip" inet,
    "access_token_id" bigint,
    "user_id" bigint NOT NULL,
    "web_push_subscription_id" bigint
);

CREATE TABLE settings (
    "id" bigint DEFAULT nextval('settings_id_seq'::regclass) NOT NULL,
    "var" character varying NOT NULL,
    "value" text,
    "thing_type" character varying,
    "created_at" timestamp without time zone,
    "updated_at" timestamp without time zone,
    "thing_id" bigint
);

CREATE TABLE site_uploads (
    "id" bigint DEFAULT nextval('site_uploads_id_seq'::regclass) NOT NULL,
    "var" character varying DEFAULT ''::character varying NOT NULL,
    "file_file_name" character varying,
    "file_content_type" character varying,
    "file_file_size" integer,
    "file_updated_at" timestamp without time zone,
    "meta" json,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "blurhash" character varying
);

CREATE TABLE status_edits (
    "id" bigint DEFAULT nextval('status_edits_id_seq'::regclass) NOT NULL,
    "status_id" bigint NOT NULL,
    "account_id" bigint,
    "text" text DEFAULT ''::text NOT NULL,
    "spoiler_text" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL,
    "ordered_media_attachment_ids" bigint[],
    "media_descriptions" text[],
    "poll_options" character varying[],
    "sensitive" boolean
);

CREATE TABLE status_pins (
    "id" bigint DEFAULT nextval('status_pins_id_seq'::regclass) NOT NULL,
    "account_id" bigint NOT NULL,
    "status_id" bigint NOT NULL,
    "created_at" timestamp without time zone DEFAULT now() NOT NULL,
    "updated_at" timestamp without time zone DEFAULT now() NOT NULL
);

CREATE TABLE status_stats (
    "id" bigint DEFAULT nextval('status_stats_id_seq'::regclass) NOT NULL,
    "status_id" bigint NOT NULL,
    "replies_count" bigint DEFAULT 0 NOT NULL,
    "reblogs_count" bigint DEFAULT 0 NOT NULL,
    "favourites_count" bigint DEFAULT 0 NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE status_trends (
    "id" bigint DEFAULT nextval('status_trends_id_seq'::regclass) NOT NULL,
    "status_id" bigint NOT NULL,
    "account_id" bigint NOT NULL,
    "score" double precision DEFAULT 0.0 NOT NULL,
    "rank" integer DEFAULT 0 NOT NULL,
    "allowed" boolean DEFAULT false NOT NULL,
    "language" character varying
);

CREATE TABLE statuses (
    "id" bigint DEFAULT timestamp_id('statuses'::text) NOT NULL,
    "uri" character varying,
    "text" text DEFAULT ''::text NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "in_reply_to_id" bigint,
    "reblog_of_id" bigint,
    "url" character varying,
    "sensitive" boolean DEFAULT false NOT NULL,
    "visibility" integer DEFAULT 0 NOT NULL,
    "spoiler_text" text DEFAULT ''::text NOT NULL,
    "reply" boolean DEFAULT false NOT NULL,
    "language" character varying,
    "conversation_id" bigint,
    "local" boolean,
    "account_id" bigint NOT NULL,
    "application_id" bigint,
    "in_reply_to_account_id" bigint,
    "poll_id" bigint,
    "deleted_at" timestamp without time zone,
    "edited_at" timestamp without time zone,
    "trendable" boolean,
    "ordered_media_attachment_ids" bigint[]
);

CREATE TABLE statuses_tags (
    "status_id" bigint NOT NULL,
    "tag_id" bigint NOT NULL
);

CREATE TABLE system_keys (
    "id" bigint DEFAULT nextval('system_keys_id_seq'::regclass) NOT NULL,
    "key" bytea,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE tag_follows (
    "id" bigint DEFAULT nextval('tag_follows_id_seq'::regclass) NOT NULL,
    "tag_id" bigint NOT NULL,
    "account_id" bigint NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE tags (
    "id" bigint DEFAULT nextval('tags_id_seq'::regclass) NOT NULL,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "usable" boolean,
    "trendable" boolean,
    "listable" boolean,
    "reviewed_at" timestamp without time zone,
    "requested_review_at" timestamp without time zone,
    "last_status_at" timestamp without time zone,
    "max_score" double precision,
    "max_score_at" timestamp without time zone,
    "display_name" character varying
);

CREATE TABLE tombstones (
    "id" bigint DEFAULT nextval('tombstones_id_seq'::regclass) NOT NULL,
    "account_id" bigint,
    "uri" character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "by_moderator" boolean
);

CREATE TABLE unavailable_domains (
    "id" bigint DEFAULT nextval('unavailable_domains_id_seq'::regclass) NOT NULL,
    "domain" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE user_invite_requests (
    "id" bigint DEFAULT nextval('user_invite_requests_id_seq'::regclass) NOT NULL,
    "user_id" bigint,
    "text" text,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE user_roles (
    "id" bigint DEFAULT nextval('user_roles_id_seq'::regclass) NOT NULL,
    "name" character varying DEFAULT ''::character varying NOT NULL,
    "color" character varying DEFAULT ''::character varying NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    "permissions" bigint DEFAULT 0 NOT NULL,
    "highlighted" boolean DEFAULT false NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

CREATE TABLE users (
    "id" bigint DEFAULT nextval('users_id_seq'::regclass) NOT NULL,
    "email" character varying DEFAULT ''::character varying NOT NULL,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "encrypted_password" character varying DEFAULT ''::character varying NOT NULL,
    "reset_password_token" character varying,
    "reset_password_sent_at" timestamp without time zone,
    "sign_in_count" integer DEFAULT 0 NOT NULL,
    "current_sign_in_at" timestamp without time zone,
    "last_sign_in_at" timestamp without time zone,
    "admin" boolean DEFAULT false NOT NULL,
    "confirmation_token" character varying,
    "confirmed_at" timestamp without time zone,
    "confirmation_sent_at" timestamp without time zone,
    "unconfirmed_email" character varying,
    "locale" character varying,
    "encrypted_otp_secret" character varying,
    "encrypted_otp_secret_iv" character varying,
    "encrypted_otp_secret_salt" character varying,
    "consumed_timestep" integer,
    "otp_required_for_login" boolean DEFAULT false NOT NULL,
    "last_emailed_at" timestamp without time zone,
    "otp_backup_codes" character varying[],
    "account_id" bigint NOT NULL,
    "disabled" boolean DEFAULT false NOT NULL,
    "moderator" boolean DEFAULT false NOT NULL,
    "invite_id" bigint,
    "chosen_languages" character varying[],
    "created_by_application_id" bigint,
    "approved" boolean DEFAULT true NOT NULL,
    "sign_in_token" character varying,
    "sign_in_token_sent_at" timestamp without time zone,
    "webauthn_id" character varying,
    "sign_up_ip" inet,
    "skip_sign_in_token" boolean,
    "role_id" bigint
);

CREATE TABLE web_push_subscriptions (
    "id" bigint DEFAULT nextval('web_push_subscriptions_id_seq'::regclass) NOT NULL,
    "endpoint" character varying NOT NULL,
    "key_p256dh" character varying NOT NULL,
    "key_auth" character varying NOT NULL,
    "data" json,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "access_token_id" bigint,
    "user_id" bigint
);

CREATE TABLE web_settings (
    "id" bigint DEFAULT nextval('web_settings_id_seq'::regclass) NOT NULL,
    "data" json,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL,
    "user_id" bigint NOT NULL
);

CREATE TABLE webauthn_credentials (
    "id" bigint DEFAULT nextval('webauthn_credentials_id_seq'::regclass) NOT NULL,
    "external_id" character varying NOT NULL,
    "public_key" character varying NOT NULL,
    "nickname" character varying NOT NULL,
    "sign_count" bigint DEFAULT 0 NOT NULL,
    "user_id" bigint,
    "created_at" timestamp without time zone NOT NULL,
    "updated_at" timestamp without time zone NOT NULL
);

CREATE TABLE webhooks (
    "id" bigint DEFAULT nextval('webhooks_id_seq'::regclass) NOT NULL,
    "url" character varying NOT NULL,
    "events" character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    "secret" character varying DEFAULT ''::character varying NOT NULL,
    "enabled" boolean DEFAULT true NOT NULL,
    "created_at" timestamp(6) without time zone NOT NULL,
    "updated_at" timestamp(6) without time zone NOT NULL
);

ALTER SEQUENCE account_aliases_id_seq OWNED BY account_aliases.id;
ALTER SEQUENCE account_conversations_id_seq OWNED BY account_conversations.id;
ALTER SEQUENCE account_deletion_requests_id_seq OWNED BY account_deletion_requests.id;
ALTER SEQUENCE account_domain_blocks_id_seq OWNED BY account_domain_blocks.id;
ALTER SEQUENCE account_migrations_id_seq OWNED BY account_migrations.id;
ALTER SEQUENCE account_moderation_notes_id_seq OWNED BY account_moderation_notes.id;
ALTER SEQUENCE account_notes_id_seq OWNED BY account_notes.id;
ALTER SEQUENCE account_pins_id_seq OWNED BY account_pins.id;
ALTER SEQUENCE account_stats_id_seq OWNED BY account_stats.id;
ALTER SEQUENCE account_statuses_cleanup_policies_id_seq OWNED BY account_statuses_cleanup_policies.id;
ALTER SEQUENCE account_warning_presets_id_seq OWNED BY account_warning_presets.id;
ALTER SEQUENCE account_warnings_id_seq OWNED BY account_warnings.id;
ALTER SEQUENCE admin_action_logs_id_seq OWNED BY admin_action_logs.id;
ALTER SEQUENCE announcement_mutes_id_seq OWNED BY announcement_mutes.id;
ALTER SEQUENCE announcement_reactions_id_seq OWNED BY announcement_reactions.id;
ALTER SEQUENCE announcements_id_seq OWNED BY announcements.id;
ALTER SEQUENCE appeals_id_seq OWNED BY appeals.id;
ALTER SEQUENCE backups_id_seq OWNED BY backups.id;
ALTER SEQUENCE blocks_id_seq OWNED BY blocks.id;
ALTER SEQUENCE bookmarks_id_seq OWNED BY bookmarks.id;
ALTER SEQUENCE canonical_email_blocks_id_seq OWNED BY canonical_email_blocks.id;
ALTER SEQUENCE conversation_mutes_id_seq OWNED BY conversation_mutes.id;
ALTER SEQUENCE conversations_id_seq OWNED BY conversations.id;
ALTER SEQUENCE custom_emoji_categories_id_seq OWNED BY custom_emoji_categories.id;
ALTER SEQUENCE custom_emojis_id_seq OWNED BY custom_emojis.id;
ALTER SEQUENCE custom_filter_keywords_id_seq OWNED BY custom_filter_keywords.id;
ALTER SEQUENCE custom_filter_statuses_id_seq OWNED BY custom_filter_statuses.id;
ALTER SEQUENCE custom_filters_id_seq OWNED BY custom_filters.id;
ALTER SEQUENCE devices_id_seq OWNED BY devices.id;
ALTER SEQUENCE domain_allows_id_seq OWNED BY domain_allows.id;
ALTER SEQUENCE domain_blocks_id_seq OWNED BY domain_blocks.id;
ALTER SEQUENCE email_domain_blocks_id_seq OWNED BY email_domain_blocks.id;
ALTER SEQUENCE favourites_id_seq OWNED BY favourites.id;
ALTER SEQUENCE featured_tags_id_seq OWNED BY featured_tags.id;
ALTER SEQUENCE follow_recommendation_suppressions_id_seq OWNED BY follow_recommendation_suppressions.id;
ALTER SEQUENCE follow_requests_id_seq OWNED BY follow_requests.id;
ALTER SEQUENCE follows_id_seq OWNED BY follows.id;
ALTER SEQUENCE identities_id_seq OWNED BY identities.id;
ALTER SEQUENCE imports_id_seq OWNED BY imports.id;
ALTER SEQUENCE invites_id_seq OWNED BY invites.id;
ALTER SEQUENCE ip_blocks_id_seq OWNED BY ip_blocks.id;
ALTER SEQUENCE list_accounts_id_seq OWNED BY list_accounts.id;
ALTER SEQUENCE lists_id_seq OWNED BY lists.id;
ALTER SEQUENCE login_activities_id_seq OWNED BY login_activities.id;
ALTER SEQUENCE markers_id_seq OWNED BY markers.id;
ALTER SEQUENCE mentions_id_seq OWNED BY mentions.id;
ALTER SEQUENCE mutes_id_seq OWNED BY mutes.id;
ALTER SEQUENCE notifications_id_seq OWNED BY notifications.id;
ALTER SEQUENCE oauth_access_grants_id_seq OWNED BY oauth_access_grants.id;
ALTER SEQUENCE oauth_access_tokens_id_seq OWNED BY oauth_access_tokens.id;
ALTER SEQUENCE oauth_applications_id_seq OWNED BY oauth_applications.id;
ALTER SEQUENCE one_time_keys_id_seq OWNED BY one_time_keys.id;
ALTER SEQUENCE pghero_space_stats_id_seq OWNED BY pghero_space_stats.id;
ALTER SEQUENCE poll_votes_id_seq OWNED BY poll_votes.id;
ALTER SEQUENCE polls_id_seq OWNED BY polls.id;
ALTER SEQUENCE preview_card_providers_id_seq OWNED BY preview_card_providers.id;
ALTER SEQUENCE preview_card_trends_id_seq OWNED BY preview_card_trends.id;
ALTER SEQUENCE preview_cards_id_seq OWNED BY preview_cards.id;
ALTER SEQUENCE relays_id_seq OWNED BY relays.id;
ALTER SEQUENCE report_notes_id_seq OWNED BY report_notes.id;
ALTER SEQUENCE reports_id_seq OWNED BY reports.id;
ALTER SEQUENCE rules_id_seq OWNED BY rules.id;
ALTER SEQUENCE scheduled_statuses_id_seq OWNED BY scheduled_statuses.id;
ALTER SEQUENCE session_activations_id_seq OWNED BY session_activations.id;
ALTER SEQUENCE settings_id_seq OWNED BY settings.id;
ALTER SEQUENCE site_uploads_id_seq OWNED BY site_uploads.id;
ALTER SEQUENCE status_edits_id_seq OWNED BY status_edits.id;
ALTER SEQUENCE status_pins_id_seq OWNED BY status_pins.id;
ALTER SEQUENCE status_stats_id_seq OWNED BY status_stats.id;
ALTER SEQUENCE status_trends_id_seq OWNED BY status_trends.id;
ALTER SEQUENCE system_keys_id_seq OWNED BY system_keys.id;
ALTER SEQUENCE tag_follows_id_seq OWNED BY tag_follows.id;
ALTER SEQUENCE tags_id_seq OWNED BY tags.id;
ALTER SEQUENCE tombstones_id_seq OWNED BY tombstones.id;
ALTER SEQUENCE unavailable_domains_id_seq OWNED BY unavailable_domains.id;
ALTER SEQUENCE user_invite_requests_id_seq OWNED BY user_invite_requests.id;
ALTER SEQUENCE user_roles_id_seq OWNED BY user_roles.id;
ALTER SEQUENCE users_id_seq OWNED BY users.id;
ALTER SEQUENCE web_push_subscriptions_id_seq OWNED BY web_push_subscriptions.id;
ALTER SEQUENCE web_settings_id_seq OWNED BY web_settings.id;
ALTER SEQUENCE webauthn_credentials_id_seq OWNED BY webauthn_credentials.id;
ALTER SEQUENCE webhooks_id_seq OWNED BY webhooks.id;

INSERT INTO schema_migrations (version) VALUES
    ('20191001213028'),
    ('20221206114142');
INSERT INTO ar_internal_metadata (key, value, created_at, updated_at)
VALUES ('environment', 'production', '2024-11-02 10:00:00', '2024-11-02 10:00:00');
