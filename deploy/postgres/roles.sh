#!/bin/sh
# Runs once, when the database server is new: a role and a database for Nexus, and for Temporal.
# Neither is a superuser, so that row-level security holds for both.
set -eu

psql --set=ON_ERROR_STOP=1 --set=password="$NEXUS_DATABASE_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE nexus LOGIN PASSWORD :'password';
CREATE DATABASE nexus OWNER nexus;
CREATE ROLE temporal LOGIN PASSWORD :'password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
SQL
