-- Up Migration

-- What a move could not remove when it ended; a duty goes on trying.
alter table control.moves add column leftover text check (leftover in ('from', 'to'));

-- Down Migration
