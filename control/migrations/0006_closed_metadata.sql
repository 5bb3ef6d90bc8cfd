-- Up Migration

-- The metadata may lie on a server that carries tenants: their logins have no business here.
do $$ begin
  execute format('revoke all on database %I from public', current_database());
end $$;

-- Down Migration
