import { zodResolver } from "@hookform/resolvers/zod";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { z } from "zod";

import { call, client } from "@/api/client";
import { ApiError } from "@/api/errors";
import { Restoration } from "@/layout/deleted-company";
import { useCompany } from "@/session/company";
import { ownProfileQuery } from "@/session/companies";
import { useTexts } from "@/texts";
import { Card, CardContent } from "@/ui/card";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { useDraftForm } from "./draft-form";
import { roleName } from "./member-item";
import { PasswordCard } from "./password-card";
import type { Profile } from "./queries";
import { useSave } from "./save";
import { Loaded, Section } from "./section";

interface ProfileValues {
  full_name: string;
  avatar_url: string;
}

const valuesOf = (profile: Profile): ProfileValues => ({ full_name: profile.full_name ?? "", avatar_url: profile.avatar_url ?? "" });

/** The signed-in user: name, picture and password. */
export function ProfileSection() {
  const profile = useQuery(ownProfileQuery);
  return (
    <Section name="profile">
      {isOfDeletedCompany(profile.error) ? (
        // The API refuses the profile of an owner whose company is deleted, also while another company is open.
        <Restoration isOther />
      ) : (
        <>
          <Loaded query={profile}>{(data) => <ProfileForm profile={data} />}</Loaded>
          <PasswordCard />
        </>
      )}
    </Section>
  );
}

const isOfDeletedCompany = (error: Error | null) => error instanceof ApiError && error.code === "tenant_deleted";

function ProfileForm({ profile }: { profile: Profile }) {
  const all = useTexts("auth", "settings");
  const text = all.settings.profile;
  const { user, tenant } = useCompany();
  const queries = useQueryClient();
  const saved = useMemo(() => valuesOf(profile), [profile]);
  const schema = z.object({
    full_name: z.string().max(255, all.settings.tooLong(255)),
    avatar_url: z.union([z.literal(""), z.url({ protocol: /^https$/, error: text.pictureInvalid })]),
  });
  const draft = useDraftForm<ProfileValues>("profile", saved, zodResolver(schema));
  const { errors } = draft.form.formState;
  const save = useSave({
    draft,
    labels: { full_name: text.name, avatar_url: text.picture },
    send: async (changes) => {
      const body = Object.fromEntries(Object.entries(changes).map(([field, value]) => [field, value.trim() === "" ? null : value.trim()]));
      const { data } = await call(client.PATCH("/api/v1/profiles/me", { body }));
      // The answer leaves out what does not belong to the profile itself, such as the companies.
      queries.setQueryData(ownProfileQuery.queryKey, (before) => before && { ...before, ...data });
      return valuesOf(data);
    },
    onSaved: () => void queries.invalidateQueries({ predicate: ({ queryKey }) => ["context", "members", "profile"].includes(String(queryKey[0])) }),
  });
  return (
    <form noValidate className="grid gap-5" onSubmit={save.onSubmit}>
      <Card>
        <CardContent className="grid gap-5">
          <dl className="grid gap-3 text-sm sm:grid-cols-2">
            <div>
              <dt className="font-medium">{all.auth.email}</dt>
              <dd className="break-all text-muted-foreground">{profile.email}</dd>
            </div>
            <div>
              <dt className="font-medium">{text.role}</dt>
              <dd className="break-words text-muted-foreground">
                {roleName(user.role, all)} – <bdi>{tenant.name}</bdi>
              </dd>
            </div>
          </dl>
          <Field label={text.name} hint={text.nameHint} error={errors.full_name?.message}>
            {(control) => <Input {...control} dir="auto" autoComplete="name" className="max-w-md" {...draft.form.register("full_name")} />}
          </Field>
          <Field label={text.picture} isOptional hint={text.pictureHint} error={errors.avatar_url?.message}>
            {(control) => (
              <Input {...control} type="url" autoComplete="photo" placeholder="https://" className="max-w-md" {...draft.form.register("avatar_url")} />
            )}
          </Field>
        </CardContent>
      </Card>
      {save.bar}
    </form>
  );
}
