-- What each program runs on, told once instead of for each event; as plain a rule as there can be.
ALTER TABLE user_agent ADD COLUMN device text NOT NULL GENERATED ALWAYS AS (
    CASE
        WHEN user_agent ~* 'ipad|tablet|kindle|silk/|playbook' THEN 'tablet'
        WHEN user_agent ~* 'android' AND user_agent !~* 'mobile' THEN 'tablet'
        WHEN user_agent ~* 'mobi|iphone|ipod|android|blackberry|opera mini' THEN 'mobile'
        ELSE 'desktop'
    END) STORED;
