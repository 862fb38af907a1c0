-- Rows that follow from the others: counters and notifications.

INSERT INTO status_stats (status_id, replies_count, reblogs_count, favourites_count, created_at, updated_at)
SELECT statuses.id, coalesce(replies.n, 0), coalesce(reblogs.n, 0), coalesce(likes.n, 0), created_at, updated_at
FROM statuses
LEFT JOIN (SELECT in_reply_to_id AS id, count(*) AS n FROM statuses GROUP BY 1) AS replies USING (id)
LEFT JOIN (SELECT reblog_of_id AS id, count(*) AS n FROM statuses GROUP BY 1) AS reblogs USING (id)
LEFT JOIN (SELECT status_id AS id, count(*) AS n FROM favourites GROUP BY 1) AS likes USING (id)
WHERE coalesce(replies.n, reblogs.n, likes.n) > 0
ORDER BY statuses.id;

INSERT INTO account_stats (
    account_id, statuses_count, following_count, followers_count, last_status_at, created_at, updated_at
)
SELECT
    accounts.id, coalesce(posts.n, 0), coalesce(following.n, 0), coalesce(followers.n, 0), posts.latest,
    created_at, coalesce(posts.latest, created_at)
FROM accounts
LEFT JOIN (
    SELECT account_id AS id, count(*) AS n, max(created_at) AS latest FROM statuses GROUP BY 1
) AS posts USING (id)
LEFT JOIN (SELECT account_id AS id, count(*) AS n FROM follows GROUP BY 1) AS following USING (id)
LEFT JOIN (SELECT target_account_id AS id, count(*) AS n FROM follows GROUP BY 1) AS followers USING (id)
ORDER BY accounts.id;

INSERT INTO notifications (
    account_id, from_account_id, type, activity_type, activity_id, group_key, created_at, updated_at
)
SELECT
    event.account_id, from_account_id, kind, activity_type, activity_id,
    CASE WHEN kind IN ('favourite', 'reblog') THEN
        kind || '-' || subject || '-' || floor(extract(epoch FROM event.created_at) / 3600)::bigint
    END,
    event.created_at, event.created_at
FROM (
    SELECT target_account_id, account_id, 'follow', 'Follow', id, NULL::bigint, created_at FROM follows
    UNION ALL
    SELECT mentions.account_id, statuses.account_id, 'mention', 'Mention', mentions.id, NULL, mentions.created_at
    FROM mentions JOIN statuses ON statuses.id = status_id
    UNION ALL
    SELECT statuses.account_id, favourites.account_id, 'favourite', 'Favourite', favourites.id, statuses.id,
        favourites.created_at
    FROM favourites JOIN statuses ON statuses.id = status_id
    UNION ALL
    SELECT original.account_id, reblog.account_id, 'reblog', 'Status', reblog.id, original.id, reblog.created_at
    FROM statuses AS reblog JOIN statuses AS original ON original.id = reblog.reblog_of_id
) AS event (account_id, from_account_id, kind, activity_type, activity_id, subject, created_at)
JOIN users ON users.account_id = event.account_id
WHERE event.account_id <> from_account_id
ORDER BY event.created_at, activity_type, activity_id;

INSERT INTO bookmarks (account_id, status_id, created_at, updated_at)
SELECT account_id, status_id, created_at, updated_at FROM favourites WHERE id % 9 = 0 ORDER BY id;

INSERT INTO poll_votes (account_id, poll_id, choice, created_at, updated_at)
SELECT users.account_id, polls.id, (users.id + polls.id) % 2, polls.created_at, polls.created_at
FROM polls JOIN users ON (users.id + polls.id) % 25 = 0
ORDER BY polls.id, users.id;

INSERT INTO markers (user_id, timeline, last_read_id, lock_version, created_at, updated_at)
SELECT id, timeline, (SELECT coalesce(max(id), 0) FROM statuses), 7, created_at, updated_at
FROM users CROSS JOIN (VALUES ('home'), ('notifications')) AS known (timeline)
ORDER BY id, timeline;

INSERT INTO login_activities (user_id, authentication_method, success, ip, user_agent, created_at)
SELECT user_id, 'password', session_activations.id % 10 <> 0, ip, user_agent, created_at
FROM session_activations ORDER BY id;
