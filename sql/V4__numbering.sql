-- Numbers for events, in functions: each statement within sees what was committed before it began. One statement that
-- locks and reads would read by the snapshot of before it waited for the lock, and give a number twice.

-- Gives up to `most` unnumbered events the next numbers, in the order of their ids; returns how many.
CREATE FUNCTION number_events(most integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last bigint;
    given integer;
BEGIN
    -- Without the lock: most of the time there is nothing.
    IF NOT EXISTS (SELECT FROM outbox WHERE number IS NULL) THEN
        RETURN 0;
    END IF;
    SELECT numbered INTO STRICT last FROM log_positions FOR UPDATE;
    -- By ctid: under the lock, nobody else changes a row without a number.
    WITH waiting AS MATERIALIZED (
        SELECT ctid AS place, id FROM outbox WHERE number IS NULL ORDER BY id LIMIT most
    )
    UPDATE outbox SET number = last + ranked.rank
    FROM (SELECT place, row_number() OVER (ORDER BY id) AS rank FROM waiting) AS ranked
    WHERE outbox.ctid = ranked.place;
    GET DIAGNOSTICS given = ROW_COUNT;
    UPDATE log_positions SET numbered = last + given;
    RETURN given;
END
$$;

-- Removes up to `most` published events up to the number `upto`, oldest first, and raises the floor; returns how many.
CREATE FUNCTION remove_events(upto bigint, most bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    place log_positions%ROWTYPE;
    last bigint;
BEGIN
    SELECT * INTO STRICT place FROM log_positions FOR UPDATE;
    last := least(upto, place.published, place.floor + most);
    IF last <= place.floor THEN
        RETURN 0;
    END IF;
    DELETE FROM outbox WHERE number <= last;
    UPDATE log_positions SET floor = last;
    RETURN last - place.floor;
END
$$;
