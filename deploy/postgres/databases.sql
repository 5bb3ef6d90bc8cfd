-- Runs once, when the server's volume is new: what the launcher (deploy/platform.ts) does to an embedded server.
create database aerodb;
create database aerodb_shared;
-- Tenants' logins reach the shared tier's database, and no other on the same server.
revoke all on database postgres from public;
revoke all on database template1 from public;
revoke all on database aerodb from public;
revoke all on database aerodb_shared from public;
