"""`mandate infra`: building and checking what is in infra/, and checking anybody's templates."""
